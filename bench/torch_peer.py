"""PyTorch's side of compare.py: reads one task a line, does it once, answers with the seconds that it took.

usage: torch_peer.py eager|channels-last|compiled. A batch is a float tensor before the clock starts.
"""

import os
import sys
import time

import torch
import torch.nn as nn

STEPS = int(os.environ.get("STEPS", "20"))
HOW = sys.argv[1]
THREADS = int(os.environ.get("THREADS", "2"))
torch.set_num_threads(THREADS)
torch.manual_seed(0)


def unit(channels, maps):
    return [nn.GroupNorm(1, channels), nn.ReLU(), nn.Conv2d(channels, maps, 3, padding=1)]


def seed_network():
    return nn.Sequential(
        *unit(1, 32), nn.MaxPool2d(3, 2), *unit(32, 32), nn.MaxPool2d(3, 2), *unit(32, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )


class Residual(nn.Module):
    """GroupNorm, ReLU, convolution, twice, added to what came in."""

    def __init__(self, maps):
        super().__init__()
        self.inside = nn.Sequential(*half(maps), *half(maps))

    def forward(self, x):
        return x + self.inside(x)


def half(maps):
    return [nn.GroupNorm(8, maps), nn.ReLU(), nn.Conv2d(maps, maps, 3, padding=1)]


def residual_network():
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), Residual(64), nn.MaxPool2d(2), Residual(64), nn.MaxPool2d(2), Residual(64),
        nn.GroupNorm(8, 64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 64),
    )


class Learner:
    def __init__(self, network, shape):
        self.shape = shape
        self.memory = torch.channels_last if HOW != "eager" else torch.contiguous_format
        self.network = network.to(memory_format=self.memory)
        self.adam = torch.optim.Adam(network.parameters(), 1e-3)
        self.loss = nn.TripletMarginLoss(1.0)
        self.run = torch.compile(self.network) if HOW == "compiled" else self.network
        self.batches = {}

    def batch(self, n):
        if n not in self.batches:
            self.batches[n] = torch.rand(n, *self.shape).contiguous(memory_format=self.memory)
        return self.batches[n]

    def train(self, n):
        """Triplets where a batch divides into three; else the mean square, as costly to the network."""
        x = self.batch(n)
        began = time.perf_counter()
        for _ in range(STEPS):
            y = self.run(x)
            loss = self.loss(*y.chunk(3)) if n % 3 == 0 else (y**2).mean()
            self.adam.zero_grad(set_to_none=True)
            loss.backward()
            self.adam.step()
            loss.item()
        return time.perf_counter() - began

    @torch.no_grad()
    def embed(self, n):
        x = self.batch(n)
        began = time.perf_counter()
        for _ in range(STEPS):
            self.run(x)
        return time.perf_counter() - began


def peak():
    """GFLOP/s of a product of two 1024 x 1024 matrices."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    for _ in range(3):
        a @ b
    times = []
    for _ in range(20):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * 1024**3 / sorted(times)[len(times) // 2] / 1e9


SHAPES = {"seed": (1, 28, 28), "residual": (3, 32, 32)}
BATCHES = {"train-seed": 192, "embed-seed": 256, "train-residual": 128, "embed-residual": 128}


def main():
    learners = {}
    print(f"ready torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {THREADS} threads", flush=True)
    for line in sys.stdin:
        task = line.strip()
        if task == "peak":
            print(peak(), flush=True)
            continue
        kind, name = task.split("-")
        if name not in learners:
            learners[name] = Learner(seed_network() if name == "seed" else residual_network(), SHAPES[name])
        print(getattr(learners[name], kind)(BATCHES[task]), flush=True)


main()
