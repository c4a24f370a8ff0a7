"""Alike beside its peers, in one run: python bench/compare.py [TASK...]

Needs torch, numpy, scikit-learn and faiss-cpu in a virtual environment outside the repository, and MNIST under
$ALIKE_DATA. The sides of a task take turns, after one turn each that is not counted. Data are in memory, batches chosen,
and on PyTorch's side already float tensors, before a clock starts. Prints a line a side (median, min and max) and the
ratio of the medians, above 1 where Alike is faster. TURNS sets the turns, THREADS the threads.
"""

import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TURNS = int(os.environ.get("TURNS", "7"))


class Process:
    """A program that is asked for one task at a time and answers with seconds."""

    def __init__(self, command, **variables):
        environment = {**os.environ, **variables}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.about = self.process.stdout.readline().removeprefix("ready ").strip()

    def __call__(self, task):
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def alike(**variables):
    build = ["cargo", "bench", "-q", "-p", "alike", "--bench", "peer", "--no-run", "--message-format=json"]
    lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    (path,) = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "peer"]
    return Process([path], **variables)


def torch(how, **variables):
    return Process([sys.executable, os.path.join(ROOT, "bench", "torch_peer.py"), how], **variables)


# Keeps the C library from giving memory back to the system between steps.
TUNED = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "536870912"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def images(split):
    path = os.path.join(os.environ["ALIKE_DATA"], "mnist", f"{split}-images-idx3-ubyte.gz")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


def labels(split):
    path = os.path.join(os.environ["ALIKE_DATA"], "mnist", f"{split}-labels-idx1-ubyte.gz")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def neighbours(gallery, queries):
    import faiss

    index = faiss.IndexFlatL2(gallery.shape[1])
    index.add(gallery)
    return lambda: timed(lambda: index.search(queries, 5))


def calculator(**how):
    """All retrieval measures of pytorch-metric-learning, by faiss, of 60,000 x 10,000 vectors around ten centres."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision", "mean_reciprocal_rank")
    calculator = AccuracyCalculator(include=names, device=torch.device("cpu"), **how)
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((10, 64))
    sides = []
    for split in ("t10k", "train"):
        of = labels(split)
        sides += [torch.from_numpy((centres[of] + 1.5 * draw.standard_normal((len(of), 64))).astype(np.float32)), torch.from_numpy(of)]
    return lambda: timed(lambda: calculator.get_accuracy(*sides))


def pca(gallery):
    from sklearn.decomposition import PCA

    return lambda: timed(lambda: PCA(2).fit(gallery))


def pixels():
    return (images(split).astype(np.float32) for split in ("train", "t10k"))


def small():
    """faiss takes the same time for any vectors."""
    draw = np.random.default_rng(0)
    return (draw.standard_normal((n, 32), dtype=np.float32) for n in (60_000, 10_000))


class Here:
    """A peer within this process."""

    about = ""

    def __init__(self, work):
        self.work = work

    def __call__(self, _):
        return self.work()

    def end(self):
        pass


class Whole:
    """A whole program, from its start to its end."""

    about = ""

    def __init__(self, command):
        self.command = command

    def __call__(self, _):
        return timed(lambda: subprocess.run(self.command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL))

    def end(self):
        pass


def alike_trains():
    subprocess.run(["cargo", "build", "-q", "--release"], cwd=ROOT, check=True)
    folder = tempfile.mkdtemp()
    run = ["train", "--data", "mnist", "--recipe", "seed", "--out", folder + "/run", "--force", "-q"]
    return Whole([os.path.join(ROOT, "target", "release", "alike"), *run])


def network(task, images, flop, steps=20):
    """A task of networks: who takes part, how many images a turn has, MFLOP an image."""
    few = {"STEPS": str(steps)}
    sides = {
        "alike": lambda: alike(**few),
        "torch channels-last": lambda: torch("channels-last", **few),
        "torch channels-last, tuned malloc": lambda: torch("channels-last", **TUNED, **few),
        "torch eager": lambda: torch("eager", **few),
    }
    if "embed" in task:
        sides["torch compiled"] = lambda: torch("compiled", **few)
    return {"task": task, "sides": sides, "images": images * steps, "mflop": flop}


def flat(task, name, peer):
    return {"task": task, "sides": {"alike": lambda: alike(), name: peer}}


def loss(name):
    script = os.path.join(ROOT, "bench", "reference_losses.py")
    sides = {
        "alike": lambda: alike(STEPS="10"),
        "pytorch-metric-learning": lambda: Process([sys.executable, script], STEPS="10"),
    }
    return {"task": f"loss-{name}", "sides": sides}


LOSSES = ["triplet", "multi-similarity", "nt-xent", "proxy-anchor", "arcface", "fast-ap"]

TASKS = {
    **{f"loss-{name}": loss(name) for name in LOSSES},
    "neighbours-784": flat("neighbours-784", "faiss IndexFlatL2", lambda: Here(neighbours(*pixels()))),
    "neighbours-32": flat("neighbours-32", "faiss IndexFlatL2", lambda: Here(neighbours(*small()))),
    # The calculator looks as deep as the largest class unless told to; MAP and MRR over the whole gallery need all of it.
    "retrieval": {
        "task": "retrieval",
        "sides": {
            "alike": lambda: alike(),
            "calculator, 6,742 deep": lambda: Here(calculator(k="max_bin_count")),
        },
    },
    "pca": flat("pca", "scikit-learn PCA(2)", lambda: Here(pca(next(pixels())))),
    "train-seed": network("train-seed", 192, 12.7),
    "embed-seed": network("embed-seed", 256, 4.35),
    "train-residual": network("train-residual", 128, 3 * 202, steps=3),
    "embed-residual": network("embed-residual", 128, 202, steps=3),
    "epochs-seed": {
        "task": "three epochs",
        "sides": {
            "alike train": alike_trains,
            "torch channels-last": lambda: Whole([sys.executable, os.path.join(ROOT, "bench", "torch_seed.py")]),
        },
        "images": 3 * 3 * 64 * 937,
        "mflop": 12.7,
    },
    "train-seed-avx2": {
        **network("train-seed", 192, 12.7),
        "sides": {
            "alike, AVX2": lambda: alike(ALIKE_SIMD="avx2"),
            "torch channels-last, AVX2": lambda: torch("channels-last", **AVX2),
        },
    },
    "train-seed-portable": {
        **network("train-seed", 192, 12.7),
        "sides": {"alike, portable": lambda: alike(ALIKE_SIMD="portable"), "torch eager": lambda: torch("eager")},
    },
    # More steps a turn: what one thread loses by coming in cold, two lose as well, in half the time.
    "train-seed-threads": {
        **network("train-seed", 192, 12.7, steps=100),
        "sides": {f"alike, {n} threads": lambda n=n: alike(THREADS=str(n), STEPS="100") for n in (2, 1)},
    },
}


def compare(name):
    entry = TASKS[name]
    sides = {side: start() for side, start in entry["sides"].items()}
    times = {side: [] for side in sides}
    for turn in range(TURNS + 1):
        for side, ask in sides.items():
            seconds = ask(entry["task"])
            if turn:
                times[side].append(seconds)
    for side in sides.values():
        side.end()
    print(f"\n{name}, {TURNS} turns each")
    ours = statistics.median(next(iter(times.values())))
    for side, all_of in times.items():
        median = statistics.median(all_of)
        line = f"  {side:34} {median:8.4f} s   ({min(all_of):.4f} to {max(all_of):.4f})"
        if "images" in entry:
            rate = entry["images"] / median
            line += f"  {rate:8.0f} images/s {rate * entry['mflop'] / 1e3:5.0f} GFLOP/s"
        print(f"{line}   ratio {median / ours:.2f}", flush=True)


def main():
    wanted = sys.argv[1:] or list(TASKS)
    unknown = [name for name in wanted if name not in TASKS]
    if unknown:
        sys.exit(f"there is no task {unknown[0]}; tasks: {', '.join(TASKS)}")
    if any(name.startswith(("train", "embed", "epochs")) for name in wanted):
        ask = torch("eager")
        print(f"{ask.about}; GEMM of 1024^3: {statistics.median(ask('peak') for _ in range(5)):.0f} GFLOP/s")
        ask.end()
    for name in wanted:
        compare(name)


if __name__ == "__main__":
    main()
