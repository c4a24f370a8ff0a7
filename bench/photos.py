"""Measures how photos in colour are learned: python bench/photos.py [SET...] [--seeds 1,2,3] [--peer SCRIPT --peer-python PYTHON]

Needs a release build (or another that ALIKE names), and the real data in $ALIKE_DATA or ../shared/data. Sets:

  cifar      CIFAR-10 as folders of JPEG, defaults only: 1-NN and MAP@R of the test images among all training images, and CPU seconds
  clothing   1,275 photos of clothes, defaults only: 1-NN of the test part

`--peer` trains a PyTorch network for the same CPU seconds afterwards: a script that takes WIDTH and CPU_SECONDS, finds `data/cifar_train.npz` and
`data/cifar_test.npz` (x: n x 32 x 32 x 3 bytes, y) and prints `1-NN` and `MAP@R`.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
DATA = Path(os.environ.get("ALIKE_DATA", ROOT / "../shared/data")).resolve()
# The peer's network: 927,000 parameters.
WIDTH = 48


def run(words, **more):
    """Runs a command; returns what it prints, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def judged(name, data, folder, seed, extra):
    """Trains with no flags but these, and prints how good the embedding is."""
    out = folder / f"{name}-{seed}"
    _, seconds = run([ALIKE, "train", "--data", data, "--out", out, "--seed", seed, "-q", *extra])
    found = json.loads(run([ALIKE, "eval", out, "--json", "-q"])[0])
    spaces, retrieval = found["spaces"], found["retrieval"]
    row = [100 * spaces[s]["knn"]["1"]["accuracy"] for s in ("feature", "image")]
    means, precision = 100 * spaces["feature"]["class_mean"]["accuracy"], 100 * retrieval["feature"]["micro"]["map_at_r"]
    print(
        f"{name}, seed {seed}: 1-NN {row[0]:.2f} % (pixels {row[1]:.2f}), class means {means:.2f} %, MAP@R {precision:.2f} %, {seconds:.0f} CPU s",
        flush=True,
    )
    return seconds


def unpacked(folder):
    for part in ("train", "test"):
        with zipfile.ZipFile(DATA / f"cifar10/{part}.zip") as archive:
            archive.extractall(folder / "cifar" / part)
    return folder / "cifar"


def peer(script, python, photos, folder, seconds):
    make = (
        "import sys, numpy as np; from pathlib import Path; from PIL import Image\n"
        "for part in ('train', 'test'):\n"
        "    files = sorted(Path(sys.argv[1], part).glob('*/*')); names = sorted({f.parent.name for f in files})\n"
        "    np.savez(f'data/cifar_{part}.npz', x=np.stack([np.asarray(Image.open(f)) for f in files]), y=[names.index(f.parent.name) for f in files])"
    )
    (folder / "data").mkdir()
    run([python, "-c", make, photos], cwd=folder)
    said, spent = run([python, script, WIDTH, seconds], cwd=folder)
    print(f"peer, {seconds:.0f} CPU s of training: {said.strip().splitlines()[-1]} ({spent:.0f} with its own judgement)")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sets", nargs="*", metavar="SET", help="cifar, clothing; both if none is named")
    arguments.add_argument("--seeds", default="0")
    arguments.add_argument("--peer", type=Path, metavar="SCRIPT")
    arguments.add_argument("--peer-python", default="python3")
    arguments.add_argument("--train", default="", help="further options of alike train, in one word")
    asked = arguments.parse_args()
    sets = asked.sets or ["cifar", "clothing"]
    if wrong := [s for s in sets if s not in ("cifar", "clothing")]:
        arguments.error(f"no set {wrong[0]}; there are cifar and clothing")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in sets:
            data = unpacked(folder) if name == "cifar" else DATA / "clothing"
            spent = [judged(name, data, folder, seed, asked.train.split()) for seed in asked.seeds.split(",")]
            if name == "cifar" and asked.peer:
                peer(asked.peer.resolve(), asked.peer_python, data, folder, spent[0])


if __name__ == "__main__":
    main()
