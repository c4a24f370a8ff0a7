"""The seed's recipe on MNIST by PyTorch, from the files to the last step: python bench/torch_seed.py [EPOCHS]"""

import gzip
import os
import sys

import numpy as np
import torch
import torch.nn as nn

torch.set_num_threads(int(os.environ.get("THREADS", "2")))
draw = np.random.default_rng(0)


def idx(name, offset):
    with gzip.open(os.path.join(os.environ["ALIKE_DATA"], "mnist", name)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def unit(channels, maps):
    return [nn.GroupNorm(1, channels), nn.ReLU(), nn.Conv2d(channels, maps, 3, padding=1)]


images = torch.from_numpy(idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).copy()).float() / 255
labels = idx("train-labels-idx1-ubyte.gz", 8)
members = [np.flatnonzero(labels == c) for c in range(10)]
network = nn.Sequential(
    *unit(1, 32), nn.MaxPool2d(3, 2), *unit(32, 32), nn.MaxPool2d(3, 2), *unit(32, 32),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(),
).to(memory_format=torch.channels_last)
adam, triplet = torch.optim.Adam(network.parameters(), 1e-3), nn.TripletMarginLoss(1.0)
for epoch in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
    order, total = draw.permutation(len(labels)), 0.0
    for at in range(0, len(order) - 63, 64):
        anchors = order[at : at + 64]
        same = labels[anchors]
        # Another class, uniformly, and an image of it; the positive's chance of being the anchor is left in.
        other = (same + draw.integers(1, 10, 64)) % 10
        positives = [draw.choice(members[c]) for c in same]
        negatives = [draw.choice(members[c]) for c in other]
        batch = images[np.concatenate([anchors, positives, negatives])].to(memory_format=torch.channels_last)
        loss = triplet(*network(batch).chunk(3))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        total += loss.item()
    print(f"epoch {epoch + 1} loss {total / (len(order) // 64):.4f}", flush=True)
