"""The deletion test of `alike explain`: python bench/explain.py RUN FOLDER [--pairs 200] [--seed 0]

FOLDER has a subfolder a class, with pictures that RUN was not trained on. Explains pairs drawn from it, half of one class and half of two, and
prints by how much painting over the most salient tenth of an image's pixels moves the distance more than a random tenth does: the mean over the pairs
with its 95 % interval, as a share of the mean distance. Needs numpy, and a release build (or another that ALIKE names).
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))


def drawn(folder, n, seed):
    rng = np.random.default_rng(seed)
    classes = [sorted(p for p in c.iterdir() if p.is_file()) for c in sorted(folder.iterdir()) if c.is_dir()]
    for i in range(n):
        if i % 2:
            of = rng.integers(len(classes))
            yield [classes[of][j] for j in rng.choice(len(classes[of]), 2, replace=False)]
        else:
            yield [classes[c][rng.integers(len(classes[c]))] for c in rng.choice(len(classes), 2, replace=False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    gains, distances, by = [], [], set()
    with tempfile.TemporaryDirectory() as to:
        for a, b in drawn(asked.folder, asked.pairs, asked.seed):
            words = [ALIKE, "explain", asked.run, a, b, "-o", f"{to}/found.svg", "--force", "--json", "-q"]
            found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
            gains.append(found["masking"]["salient"] - found["masking"]["random"])
            distances.append(found["distance"])
            by.add(found["by"])
    gains = np.array(gains) / np.mean(distances)
    half = 1.96 * gains.std(ddof=1) / len(gains) ** 0.5
    print(
        f"{len(gains)} pairs, by {', '.join(sorted(by))}: salient less random moves the distance by {100 * gains.mean():.2f} % "
        f"of the mean distance (95 % interval {100 * (gains.mean() - half):.2f} to {100 * (gains.mean() + half):.2f} %); "
        f"more than random in {100 * (gains > 0).mean():.0f} % of the pairs"
    )


if __name__ == "__main__":
    main()
