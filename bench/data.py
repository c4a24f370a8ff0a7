"""Reading pictures: Alike beside its decoders called bare, and beside Pillow in a PyTorch DataLoader: python bench/data.py

Needs torch, pillow and numpy in a virtual environment outside the repository, and MNIST, Omniglot and the ORL faces under
$ALIKE_DATA, from which it makes folders of PNG (28 x 28 and 105 x 105, grey) and JPEG (256 x 256, colour, quality 90). The
sides take turns, after one turn each that is not counted; files are in the system's cache, as they are for all sides.
Alike lists the folder, decodes and prepares, as the others list and decode; then, as the program does, it looks at sizes
first and writes what is prepared to its cache.
Then: training steps of the seed's network over images in the cache, against the same images in memory. TURNS sets the turns.
"""

import glob
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np
from PIL import Image

from compare import ROOT, Process

TURNS = int(os.environ.get("TURNS", "5"))
DATA = os.environ["ALIKE_DATA"]


def mnist(folder, n=20_000):
    with gzip.open(os.path.join(DATA, "mnist", "train-images-idx3-ubyte.gz")) as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:n]
    with gzip.open(os.path.join(DATA, "mnist", "train-labels-idx1-ubyte.gz")) as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:n]
    for i, (image, label) in enumerate(zip(images, labels)):
        path = os.path.join(folder, str(label), f"{i}.png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray(image).save(path)


def omniglot(folder):
    with zipfile.ZipFile(os.path.join(DATA, "omniglot", "images_background.zip")) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                _, alphabet, character, file = name.split("/")
                path = os.path.join(folder, f"{alphabet}-{character}", file)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as out:
                    out.write(archive.read(name))


def photographs(folder, n=3_000):
    draw = np.random.default_rng(0)
    faces = sorted(glob.glob(os.path.join(DATA, "orl-faces", "s*", "*.pgm")))
    for i in range(n):
        face = Image.open(faces[i % len(faces)]).resize((256, 256), Image.BICUBIC)
        colours = np.asarray(face, np.float32)[..., None] * draw.uniform(0.6, 1.0, 3) + draw.normal(0, 4, (256, 256, 3))
        path = os.path.join(folder, str(i % 10), f"{i}.jpg")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(path, quality=90)


class Pictures:
    def __init__(self, folder):
        self.files = sorted(glob.glob(os.path.join(folder, "*", "*")))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        import torch

        return torch.from_numpy(np.array(Image.open(self.files[i])))


def loader(folder):
    """Pillow in a DataLoader of two workers, as its documentation has it; the workers' start is not counted."""
    from torch.utils.data import DataLoader

    batches = iter(DataLoader(Pictures(folder), batch_size=256, num_workers=2, prefetch_factor=2))
    first = next(batches)
    began = time.perf_counter()
    seen = sum(len(batch) for batch in batches)
    return (time.perf_counter() - began) * (seen + len(first)) / seen


def alike():
    build = ["cargo", "bench", "-q", "-p", "alike", "--bench", "data", "--no-run", "--message-format=json"]
    lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    (path,) = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "data"]
    return Process([path])


def compare(title, sides, images):
    times = {side: [] for side in sides}
    for turn in range(TURNS + 1):
        for side, ask in sides.items():
            seconds = ask()
            if turn:
                times[side].append(seconds)
    ours = statistics.median(next(iter(times.values())))
    print(f"\n{title}, {TURNS} turns each")
    for side, all_of in times.items():
        median = statistics.median(all_of)
        spread = f"({min(all_of):.4f} to {max(all_of):.4f})"
        print(f"  {side:34} {median:8.4f} s   {spread}  {images / median:8.0f} images/s   ratio {median / ours:.2f}", flush=True)


def main():
    ask = alike()
    with tempfile.TemporaryDirectory() as folder:
        for title, make in {"28 x 28 PNG": mnist, "105 x 105 PNG": omniglot, "256 x 256 JPEG": photographs}.items():
            at = os.path.join(folder, make.__name__)
            make(at)
            sides = {
                "alike, decoded and prepared": lambda: ask(f"decoded {at}"),
                "alike, from folder to cache": lambda: ask(f"ours {at}"),
                "image crate, bare": lambda: ask(f"bare {at}"),
                "Pillow, DataLoader, 2 workers": lambda: loader(at),
            }
            compare(title, sides, len(glob.glob(os.path.join(at, "*", "*"))))
        at = os.path.join(folder, "mnist")
        sides = {place: lambda place=place: ask(f"train-{place} {at}") for place in ("cache", "memory")}
        compare("training steps of the seed's network", sides, 100 * 192)
    ask.end()


if __name__ == "__main__":
    sys.exit(main())
