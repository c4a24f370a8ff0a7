"""pytorch-metric-learning's side of compare.py's losses: reads one task a line, does it once, answers with seconds.

A batch is 512 embeddings of 64 numbers: 128 classes of 4 images, or 256 images of 2 views. A turn is several times loss
and miner, forward and backward, embeddings given.
"""

import os
import sys
import time

import torch
from pytorch_metric_learning import losses, miners

STEPS = int(os.environ.get("STEPS", "10"))
torch.set_num_threads(int(os.environ.get("THREADS", "2")))
torch.manual_seed(0)

x = torch.nn.functional.normalize(torch.randn(512, 64)).requires_grad_()
fours, views = torch.arange(512) // 4, torch.arange(512) % 256
many = torch.arange(512) % 1000
TASKS = {
    "loss-triplet": (losses.TripletMarginLoss(0.2), miners.TripletMarginMiner(0.2, "semihard"), fours),
    "loss-multi-similarity": (losses.MultiSimilarityLoss(), None, fours),
    "loss-nt-xent": (losses.NTXentLoss(), None, views),
    "loss-proxy-anchor": (losses.ProxyAnchorLoss(128, 64), None, fours),
    "loss-arcface": (losses.ArcFaceLoss(1000, 64), None, many),
    "loss-fast-ap": (losses.FastAPLoss(), None, fours),
}


def step(loss, miner, labels):
    x.grad = None
    loss.zero_grad()
    value = loss(x, labels, miner(x, labels)) if miner else loss(x, labels)
    value.backward()


print(f"ready torch {torch.__version__}", flush=True)
for line in sys.stdin:
    task = TASKS[line.strip()]
    began = time.perf_counter()
    for _ in range(STEPS):
        step(*task)
    print(time.perf_counter() - began, flush=True)
