"""Alike beside its peers, in one run: python bench/compare.py [TASK...]

Needs numpy, scikit-learn and faiss-cpu in a virtual environment outside the repository, and MNIST under $ALIKE_DATA.
The two sides of a task take turns, after one turn each that is not counted; data are in memory on both sides. Prints a
line a side: median, min and max seconds; then the ratio of the medians, above 1 where Alike is faster.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TURNS = int(os.environ.get("TURNS", "7"))


class Alike:
    """The benchmark binary, asked for one task at a time."""

    def __init__(self):
        build = ["cargo", "bench", "-q", "-p", "alike", "--bench", "peer", "--no-run", "--message-format=json"]
        lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        messages = [json.loads(line) for line in lines if line.startswith("{")]
        (path,) = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "peer"]
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"alike: {self.process.stdout.readline().removeprefix('ready ').strip()}")

    def __call__(self, task):
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])


def images(split):
    path = os.path.join(os.environ["ALIKE_DATA"], "mnist", f"{split}-images-idx3-ubyte.gz")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def neighbours(gallery, queries):
    import faiss

    index = faiss.IndexFlatL2(gallery.shape[1])
    index.add(gallery)
    return lambda: timed(lambda: index.search(queries, 5))


def pca(gallery):
    from sklearn.decomposition import PCA

    return lambda: timed(lambda: PCA(2).fit(gallery))


def tasks():
    train, test = (images(split).astype(np.float32) for split in ("train", "t10k"))
    draw = np.random.default_rng(0)
    yield "neighbours-784", "faiss IndexFlatL2", lambda: neighbours(train, test)
    small = [draw.standard_normal((n, 32), dtype=np.float32) for n in (len(train), len(test))]
    yield "neighbours-32", "faiss IndexFlatL2", lambda: neighbours(*small)
    yield "pca", "scikit-learn PCA(2)", lambda: pca(train)


def main():
    alike = Alike()
    wanted = sys.argv[1:]
    for task, name, prepare in tasks():
        if wanted and task not in wanted:
            continue
        peer = prepare()
        times = {"alike": [], name: []}
        for turn in range(TURNS + 1):
            for side, once in (("alike", lambda: alike(task)), (name, peer)):
                seconds = once()
                if turn:
                    times[side].append(seconds)
        print(f"\n{task}, {TURNS} turns each")
        for side, all_of in times.items():
            print(f"  {side:22} {statistics.median(all_of):7.3f} s   ({min(all_of):.3f} to {max(all_of):.3f})")
        ours, theirs = (statistics.median(all_of) for all_of in times.values())
        print(f"  ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
