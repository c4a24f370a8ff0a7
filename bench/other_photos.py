"""Photos of classes never trained on, beside PyTorch: python bench/other_photos.py [--minutes 5] [--splits 1,2,3] [--rates 0.05,0.1,0.2,0.4]

CIFAR-10 as folders of JPEG: five classes, drawn by the split's number, are trained on, and the test images of the other five are judged: Recall@1, each image against all others.
Alike trains with its defaults in so many minutes. The peer then has as many seconds as Alike's command took: a network of the same widths with batch
normalisation in place of group normalisation, bfloat16 and channels-last, pytorch-metric-learning's NormalizedSoftmaxLoss, mirrored and padded crops with cutout, SGD with Nesterov
momentum and a one-cycle schedule. Its learning rate is the best of some, each tried for a quarter of the time on three of the five classes and judged on the training images of the two
others. The difference is paired by image; its interval is 1.96 standard errors. Needs torch, pytorch-metric-learning, numpy and pillow in
a virtual environment outside the repository, a release build (or another that ALIKE names), and CIFAR-10 in $ALIKE_DATA.
"""

import argparse
import io
import math
import os
import random
import shlex
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
DATA = Path(os.environ.get("ALIKE_DATA", ROOT / "../shared/data")).resolve()
BATCH, PAD, HOLE = 256, 4, 8
torch.set_num_threads(int(os.environ.get("THREADS", "2")))


def read(part):
    """The files of a part by class: {class: [(name, bytes)]}."""
    found = {}
    with zipfile.ZipFile(DATA / "cifar10" / f"{part}.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            found.setdefault(name.split("/")[-2], []).append((name.split("/")[-1], archive.read(name)))
    return found


def pixels(files):
    """n x 3 x 32 x 32 bytes."""
    return torch.from_numpy(np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for _, f in files])).permute(0, 3, 1, 2)


def write(folder, part, files):
    for name, images in files.items():
        place = folder / part / name
        place.mkdir(parents=True)
        for file, data in images:
            (place / file).write_bytes(data)


class Residual(nn.Module):
    """Normalisation, ReLU and convolution, twice, added to what came in."""

    def __init__(self, width):
        super().__init__()
        self.inside = nn.Sequential(*half(width, width), *half(width, width))

    def forward(self, x):
        return x + self.inside(x)


def half(width, to):
    return [nn.BatchNorm2d(width), nn.ReLU(inplace=False), nn.Conv2d(width, to, 3, padding=1, bias=False)]


def network():
    """The widths of Alike's network `residual` for 32 x 32 pixels."""
    layers = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.MaxPool2d(2), Residual(64)]
    for width, to in [(64, 96), (96, 128)]:
        layers += [*half(width, to), nn.MaxPool2d(2), Residual(to)]
    return nn.Sequential(*layers, *half(128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(memory_format=torch.channels_last)


class Peer:
    """Trains for so many seconds, then embeds."""

    def __init__(self, images, labels, rate, seconds, seed):
        self.began = time.time()
        torch.manual_seed(seed)
        self.mean = images.float().mean((0, 2, 3)).view(1, 3, 1, 1)
        self.deviation = images.float().std((0, 2, 3)).view(1, 3, 1, 1)
        self.padded, self.labels = F.pad(images, [PAD] * 4, mode="reflect"), labels
        self.network = network()
        self.loss = NormalizedSoftmaxLoss(int(labels.max()) + 1, 128, temperature=0.1)
        parameters = [*self.network.parameters(), *self.loss.parameters()]
        sgd = torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        order, self.steps = [], 0
        self.network.train()
        while (part := (time.time() - self.began) / seconds) < 1:
            sgd.param_groups[0]["lr"] = rate * max(min(part / 0.2, (1 - part) / 0.8), 1e-3)
            if len(order) < BATCH:
                order = torch.randperm(len(labels))
            batch, order = order[:BATCH], order[BATCH:]
            vectors = self.vectors(self.changed(batch))
            loss = self.loss(vectors, labels[batch])
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
            self.steps += 1
        self.network.eval()

    def vectors(self, images):
        images = ((images.float() - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            found = self.network(images)
        return F.normalize(found.float())

    def changed(self, batch):
        """Crops of the padded images, half of them mirrored by chance, a square of each painted over."""
        n, side = len(batch), torch.arange(32)
        rows = torch.randint(0, 2 * PAD + 1, (n, 1)) + side
        columns = torch.randint(0, 2 * PAD + 1, (n, 1)) + torch.where(torch.rand(n, 1) < 0.5, 31 - side, side)
        images = self.padded[batch[:, None, None, None], torch.arange(3)[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]].float()
        top, left = torch.randint(0, 33 - HOLE, (2, n, 1))
        hole = ((side >= top) & (side < top + HOLE))[:, None, :, None] & ((side >= left) & (side < left + HOLE))[:, None, None, :]
        return torch.where(hole, self.mean.expand_as(images), images)

    @torch.inference_mode()
    def embed(self, images):
        return torch.cat([self.vectors(part) for part in images.split(500)])


def hits(vectors, labels):
    """Of each image, whether the nearest other one is of its class."""
    found = []
    for at in range(0, len(vectors), 500):
        near = vectors[at : at + 500] @ vectors.T
        near[torch.arange(len(near)), torch.arange(at, at + len(near))] = -math.inf
        found.append(labels[near.argmax(1)] == labels[at : at + len(near)])
    return torch.cat(found).double()


def numbered(files):
    """Pixels and class numbers of {class: files}."""
    labels = [i for i, name in enumerate(sorted(files)) for _ in files[name]]
    return pixels([f for name in sorted(files) for f in files[name]]), torch.tensor(labels)


def alike(folder, files, minutes, extra):
    """Seconds of training, and the embeddings of the test images in the order of `numbered`."""
    run, out = folder / "run", folder / "vectors.npy"
    began = time.time()
    subprocess.run([ALIKE, "train", "--data", folder, "--minutes", str(minutes), "--out", run, "-q", *extra], check=True)
    took = time.time() - began
    subprocess.run([ALIKE, "embed", run, folder / "test", "--out", out, "-q"], check=True)
    where = [line.rsplit("/", 2)[-2:] for line in out.with_suffix(".csv").read_text().splitlines()[1:]]
    row = {(name, file.split(",")[0].strip('"')): i for i, (name, file) in enumerate(where)}
    order = [row[name, file] for name in sorted(files) for file, _ in files[name]]
    return took, F.normalize(torch.from_numpy(np.load(out)[order]).float())


def split(number, train, test, asked):
    classes = sorted(train)
    random.Random(number).shuffle(classes)
    seen, tried, other = classes[:5], classes[:3], classes[5:]
    judged = {name: test[name] for name in other}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "photos"
        write(folder, "train", {name: train[name] for name in seen})
        write(folder, "test", judged)
        took, vectors = alike(folder, judged, asked.minutes, shlex.split(asked.extra))
    images, labels = numbered(judged)
    mine = hits(vectors, labels)
    by_rate = {}
    for rate in asked.rates:
        peer = Peer(*numbered({name: train[name] for name in tried}), rate, took / 4, number)
        held_out, of = numbered({name: train[name] for name in seen[3:]})
        by_rate[rate] = hits(peer.embed(held_out), of).mean().item()
    best = max(by_rate, key=by_rate.get)
    peer = Peer(*numbered({name: train[name] for name in seen}), best, took, number)
    theirs = hits(peer.embed(images), labels)
    flat = images.flatten(1).float()
    raw = hits(F.normalize(flat - flat.mean(0)), labels).mean().item()
    tried = ", ".join(f"{rate:g} {100 * value:.2f}" for rate, value in by_rate.items())
    passes = peer.steps * BATCH / sum(len(train[name]) for name in seen)
    print(
        f"split {number} (trained on {', '.join(sorted(seen))}): Recall@1 {100 * mine.mean():.2f} %, peer {100 * theirs.mean():.2f} %, pixels {100 * raw:.2f} %;"
        f" {took:.0f} s each, the peer's rate {best:g} (held out: {tried}), {passes:.1f} passes",
        flush=True,
    )
    return mine - theirs


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--splits", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3])
    arguments.add_argument("--rates", type=lambda text: [float(n) for n in text.split(",")], default=[0.05, 0.1, 0.2, 0.4])
    arguments.add_argument("--extra", default="", help="more options of alike train")
    asked = arguments.parse_args()
    train, test = read("train"), read("test")
    difference = 100 * torch.cat([split(number, train, test, asked) for number in asked.splits])
    error = 1.96 * difference.std().item() / len(difference) ** 0.5
    print(f"{len(asked.splits)} splits: {difference.mean():+.2f} points of Recall@1, 95 % interval {difference.mean() - error:+.2f} to {difference.mean() + error:+.2f}")


if __name__ == "__main__":
    main()
