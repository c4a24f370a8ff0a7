"""Times collections of a million vectors beside faiss: python bench/collection.py [--n N] [--sets NAME...] [--work DIR]

Needs numpy and faiss-cpu, and a release build of the bench: cargo bench -p alike-store --no-run (or another that COLLECTIONS names). Sets: gaussian,
classes (tight classes of full dimension), collapsed (every class a point), and views (embeddings of augmented views of MNIST, from the .npy files that
--views names: vectors and queries). What is found is compared with faiss's exact search, by distance. Prints a line a figure; ends with 1 if an answer is wrong.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
D, K = 128, 10


def program():
    if "COLLECTIONS" in os.environ:
        return os.environ["COLLECTIONS"]
    built = sorted((ROOT / "target/release/deps").glob("collections-*"), key=lambda p: p.stat().st_mtime)
    built = [p for p in built if p.suffix == "" and os.access(p, os.X_OK)]
    if not built:
        raise SystemExit("no bench is built: cargo bench -p alike-store --no-run")
    return built[-1]


def run(*words):
    began = os.times()
    done = subprocess.run([program(), *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    ended = os.times()
    told = json.loads(done.stdout)
    told["cpu_s"] = ended.children_user + ended.children_system - began.children_user - began.children_system
    return told


def make(name, n, draw, views):
    if name == "views":
        return [np.load(p).astype(np.float32) for p in views]
    if name == "gaussian":
        return draw.standard_normal((n, D), np.float32), draw.standard_normal((100, D), np.float32)
    points = draw.standard_normal((10, D), np.float32)
    spread = 0 if name == "collapsed" else 0.01
    near = lambda m: points[draw.integers(0, 10, m)] + np.float32(spread) * draw.standard_normal((m, D), np.float32)
    queries = near(100) + (0.01 * draw.standard_normal((100, D), np.float32) if name == "collapsed" else 0)
    return near(n), queries.astype(np.float32)


def flat(vectors, queries):
    """Milliseconds of one query and of all, by the better number of threads; and what is found."""
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    best = {}
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        index.search(queries[:1], K)
        one = []
        for query in queries[:20]:
            began = time.perf_counter()
            index.search(query[None], K)
            one.append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        found = index.search(queries, K)
        best[threads] = (np.median(one), 1e3 * (time.perf_counter() - began))
    return min(b[0] for b in best.values()), min(b[1] for b in best.values()), found


def wrong(found, vectors, queries):
    """Queries whose neighbours are not the exact ones, computed in doubles; ties by the lower number."""
    bad = 0
    for q, hits in enumerate(found):
        query = queries[q].astype(np.float64)
        rough = ((vectors - queries[q]) ** 2).sum(1)
        some = np.flatnonzero(rough <= np.partition(rough, K)[K] * 1.001 + 1e-3)
        exact = ((vectors[some].astype(np.float64) - query) ** 2).sum(1)
        order = np.lexsort((some, exact))[:K]
        distances = np.sqrt(exact[order])
        bad += not np.allclose([d for _, d in hits], distances, rtol=1e-12) or [i for i, _ in hits] != some[order].tolist()
    return bad


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, default=1_000_000)
    options.add_argument("--sets", nargs="*", default=["gaussian", "classes", "collapsed"])
    options.add_argument("--views", nargs=2)
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--work", type=Path, required=True)
    options = options.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bad = 0
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    for name in options.sets:
        vectors, queries = make(name, options.n, np.random.default_rng(1), options.views)
        files = [options.work / f"{name}-{part}.npy" for part in ("vectors", "queries")]
        for file, values in zip(files, (vectors, queries)):
            np.save(file, values)
        collection = options.work / f"{name}.alike"
        for old in (collection, collection.with_suffix(".codes")):
            old.unlink(missing_ok=True)
        filled = run("fill", collection, files[0])
        print(f"{name}: filled in {filled['fill_ms'] / 1e3:.1f} s, indexed in {filled['compact_ms'] / 1e3:.1f} s, {filled['times_the_vectors']:.2f} x the vectors", flush=True)
        told = run("search", collection, files[1])
        wrongs = wrong(told["found"][:10], vectors, queries)
        one, many, _ = flat(vectors, queries)
        print(
            f"{name}: one query {told['one_ms']:.1f} ms (slowest {told['slowest_ms']:.1f}), faiss {one:.1f}; a hundred {told['hundred_ms']:.0f} ms, faiss {many:.0f}; "
            f"opened in {told['open_ms']:.0f} ms; {(told['memory_kb'] or 0) / 1024:.0f} MB; CPU {told['cpu_s']:.1f} s; {wrongs} of 10 wrong; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        bad += wrongs
        if name == options.sets[0] and options.rounds:
            changed = run("change", collection, files[0], options.rounds)
            print(f"{name}: one added in {changed['add_one_ms']:.1f} ms, a round of 1,000 in {changed['round_ms']:.0f} ms ({changed['rounds']} rounds, {changed['wrong_rounds']} with a wrong answer)", flush=True)
            bad += changed["wrong_rounds"]
    sys.exit(bad > 0)


main()
