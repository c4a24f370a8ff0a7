"""What `alike export` writes, run by ONNX Runtime, beside our own engine: python bench/export.py RUN FOLDER

FOLDER holds pictures that have the size that RUN takes already, so that both see the same bytes. Exports RUN, embeds the pictures by both, one by one and as one
batch, and prints the largest difference as a share of a vector's length; ends with 1 where it is above 1e-4. Needs numpy, onnxruntime and Pillow, and a
release build (or another that ALIKE names).
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
MOST = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as into:
        into = Path(into)
        for words in (["export", asked.run, "--onnx", into / "m.onnx"], ["embed", asked.run, asked.folder, "-o", into / "e.npy", "--no-cache"]):
            subprocess.run([ALIKE, *words, "-q"], check=True, capture_output=True)
        ours = np.load(into / "e.npy").astype(np.float64)
        with open(into / "e.csv") as table:
            paths = [row["path"] for row in csv.DictReader(table)]
        session = onnxruntime.InferenceSession(into / "m.onnx", providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    _, h, w, c = entry.shape
    pictures = []
    for path in paths:
        path = Path(path)
        picture = Image.open(path if path.exists() else asked.folder / path).convert("L" if c == 1 else "RGB")
        if picture.size != (w, h):
            sys.exit(f"{path} is {picture.width} x {picture.height}, but the run takes {w} x {h}: both sides must see the same bytes")
        pictures.append(np.asarray(picture, np.float32).reshape(h, w, c))
    batch = np.stack(pictures)
    together = session.run(None, {entry.name: batch})[0]
    alone = np.concatenate([session.run(None, {entry.name: batch[i : i + 1]})[0] for i in range(len(batch))])
    worst = 0.0
    for name, theirs in (("one batch", together), ("one by one", alone)):
        off = np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)
        worst = max(worst, off.max())
        print(f"{len(batch)} pictures of {h} x {w} x {c}, {name}: off by {off.max():.1e} of a vector's length at most, {off.mean():.1e} in the mean")
    sys.exit(int(worst > MOST))


if __name__ == "__main__":
    main()
