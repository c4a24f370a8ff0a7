"""What a head adds to an encoder that others trained: python bench/heads.py [clothing] [cifar] [held-out ...] [faces] [--alike FILE] [--encoder NAME] [--splits 10]

`clothing` and `cifar` judge the head that `alike train --encoder` chooses on classes that it was trained on: clothing by its own split; of CIFAR-10 the first 500
pictures of each class of train and the first 200 of test, in name order, beside a logistic regression of scikit-learn on the same embeddings. `held-out:SET` (clothing,
orl, cifar, omniglot) judges classes that were held out, half of them, by so many splits: the mean of 1-NN and MAP@R with the head and without, the difference, and
in how many splits it was below. `faces` is the equal error rate on people of ORL never trained on, with the part of the pictures chosen too. Data are read from `$ALIKE_DATA`. Needs numpy and scikit-learn for `cifar`.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import zipfile
from pathlib import Path

DATA = Path(os.environ["ALIKE_DATA"])


def alike(asked, *words):
    done = subprocess.run([asked.alike, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"alike {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout, done.stderr


def unpack(archive, keep, into):
    """Members of a zip for which `keep` gives a path."""
    with zipfile.ZipFile(archive) as z:
        for member in sorted(z.namelist()):
            if path := keep(member):
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                (into / path).write_bytes(z.read(member))


def cifar(into):
    for part, most in (("train", 500), ("test", 200)):
        counts = {}

        def keep(member):
            if not member.endswith(".jpg"):
                return None
            label = member.split("/")[-2]
            counts[label] = counts.get(label, 0) + 1
            return f"{part}/{label}/{member.split('/')[-1]}" if counts[label] <= most else None

        unpack(DATA / "cifar10" / f"{part}.zip", keep, into)
    return into


def omniglot(into, alphabets=8):
    names = []

    def keep(member):
        if not member.endswith(".png"):
            return None
        alphabet, character, file = member.split("/")[-3:]
        if alphabet not in names:
            names.append(alphabet)
        return f"{alphabet} {character}/{file}" if names.index(alphabet) < alphabets else None

    unpack(DATA / "omniglot" / "images_evaluation.zip", keep, into)
    return into


def train(asked, data, run, *more):
    _, said = alike(asked, "train", "--encoder", asked.encoder, "--data", data, "--out", run, "--force", *more)
    chosen = [line for line in said.splitlines() if line.startswith("auto: ")]
    judged = json.loads(alike(asked, "eval", run, "--json", "-q")[0])
    return chosen[-1].removeprefix("auto: "), judged


def measures(judged, space):
    accuracy = judged["spaces"][space]
    retrieval = judged["retrieval"][space]["micro"]
    return accuracy["knn"]["1"]["accuracy"], accuracy["class_mean"]["accuracy"], retrieval["map_at_r"]


def closed(asked, name, data, folder):
    chosen, judged = train(asked, data, folder / "run")
    print(f"{name}: {chosen}")
    for space, what in (("image", "raw"), ("feature", "with the head")):
        one, means, quality = (100 * v for v in measures(judged, space))
        print(f"  {what}: 1-NN {one:.2f} %, class means {means:.2f} %, MAP@R {quality:.2f} %", flush=True)


def regression(asked, data, folder):
    import csv

    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    parts = []
    for part in ("train", "test"):
        npy = folder / f"{part}.npy"
        alike(asked, "embed", asked.encoder, data / part, "-o", npy, "-q", "--force")
        with open(npy.with_suffix(".csv")) as table:
            parts.append((np.load(npy), [row["class"] for row in csv.DictReader(table)]))
    (train_x, train_y), (test_x, test_y) = parts
    scaler = StandardScaler().fit(train_x)
    best = 0.0
    for c in (0.001, 0.01, 0.1):
        model = LogisticRegression(C=c, max_iter=500).fit(scaler.transform(train_x), train_y)
        best = max(best, model.score(scaler.transform(test_x), test_y))
    print(f"  logistic regression, the best of three strengths on the test images: {100 * best:.2f} %", flush=True)


def held_out(asked, name, data, folder):
    rows = []
    for seed in range(asked.first, asked.splits):
        chosen, judged = train(asked, data, folder / "run", "--split", f"class:test=0.5,seed={seed}", "-v")
        raw, head = measures(judged, "image"), measures(judged, "feature")
        rows.append((raw[0], head[0], raw[2], head[2]))
        print(f"  split {seed}: 1-NN {100 * raw[0]:.2f} -> {100 * head[0]:.2f}, MAP@R {100 * raw[2]:.2f} -> {100 * head[2]:.2f}; {chosen}", flush=True)
    for at, what in ((0, "1-NN"), (2, "MAP@R")):
        raw, head = [100 * r[at] for r in rows], [100 * r[at + 1] for r in rows]
        gains = [b - a for a, b in zip(raw, head)]
        below = sum(g < 0 for g in gains)
        spread = statistics.stdev(gains) if len(gains) > 1 else 0.0
        print(
            f"{name}, {what}: raw {statistics.mean(raw):.2f} %, head {statistics.mean(head):.2f} %, "
            f"gain {statistics.mean(gains):+.2f} (deviation {spread:.2f}), below raw in {below} of {len(gains)} splits",
            flush=True,
        )


def faces(asked, data, folder):
    """Other people than those trained on: the part of the pictures, mirror images and the head are chosen on the training people."""
    rows = []
    for seed in range(asked.splits):
        split = f"class:test=0.5,seed={seed}"
        said = alike(asked, "train", "--encoder", asked.encoder, "--data", data, "--out", folder / "run", "--force", "--split", split,
                     "--crop", "auto", "--flip=auto", "-v")[1]  # fmt: skip
        view, head = (line.split("'")[1] if "'" in line else "none" for line in said.splitlines() if line.startswith("auto: "))
        # Beside pixels, and beside the encoder as it is.
        own = json.loads(alike(asked, "eval", "verification", folder / "run", "--json", "-q")[0])
        raw = json.loads(alike(asked, "eval", "verification", asked.encoder, "--data", data, "--split", split, "--json", "-q")[0])
        rows.append([100 * e for e in (own["feature"]["eer"], raw["feature"]["eer"], raw["image"]["eer"])])
        print(f"  split {seed}: EER {rows[-1][0]:.2f} %, the encoder as it is {rows[-1][1]:.2f} %, pixels {rows[-1][2]:.2f} %; {view}; {head}", flush=True)
    means = [statistics.mean(column) for column in zip(*rows)]
    worst = max(row[0] for row in rows)
    print(f"faces: EER {means[0]:.2f} % (worst {worst:.2f}), the encoder as it is {means[1]:.2f} %, pixels {means[2]:.2f} %, {len(rows)} splits", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="*", default=["clothing", "cifar", "held-out:clothing", "held-out:orl", "held-out:cifar", "held-out:omniglot"])
    arguments.add_argument("--alike", default="target/release/alike")
    arguments.add_argument("--encoder", default="lite0")
    arguments.add_argument("--splits", type=int, default=10)
    arguments.add_argument("--first", type=int, default=0, help="begin at this split where classes are held out: the rest of an interrupted run")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sets = {
            "clothing": lambda: DATA / "clothing",
            "orl": lambda: DATA / "orl-faces",
            "cifar": lambda: cifar(folder / "cifar"),
            "omniglot": lambda: omniglot(folder / "omniglot"),
        }
        for what in asked.what:
            if what == "faces":
                faces(asked, DATA / "orl-faces", folder)
                continue
            kind, _, name = what.rpartition(":")
            data = sets[name]()
            if kind == "held-out":
                # Parts that a set has would be its split: classes are held out of the training part.
                held_out(asked, name, data / "train" if name in ("cifar", "clothing") else data, folder)
                continue
            closed(asked, name, data, folder)
            if name == "cifar":
                regression(asked, data, folder)


if __name__ == "__main__":
    main()
