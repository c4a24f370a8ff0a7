"""Classes never trained on: python bench/unseen.py SET [--classes 0,1,...] [--seeds 1] [--extra "--recipe best"]

Leaves each of the classes out of training in turn, and prints what becomes of its test images among all classes, the class's own training images in the gallery: recall by class
means, 1-NN and 5-NN, by pixels and by the embedding; R-Precision and MAP@R; AUROC of the class as an anomaly, by k-NN; and 1-NN of the classes that were trained on. SET is `mnist`
(each digit), `cifar` (each of CIFAR-10's classes, from the zips of JPEG) or `omniglot` (twenty characters at once, drawn by the seed). The last line is
the mean. Needs a release build (or another that ALIKE names), and the real data in $ALIKE_DATA or ../shared/data.
"""

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
DATA = Path(os.environ.get("ALIKE_DATA", ROOT / "../shared/data")).resolve()


def alike(*words):
    done = subprocess.run([ALIKE, *map(str, words), "-q"], env={**os.environ, "ALIKE_DATA": str(DATA)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"alike {' '.join(map(str, words))}: {done.stderr}")
    return json.loads(done.stdout) if "--json" in words else done.stdout


def source(name, folder):
    """What --data is, and its classes."""
    if name == "mnist":
        return "mnist", [str(d) for d in range(10)]
    if name == "cifar":
        for part in ("train", "test"):
            with zipfile.ZipFile(DATA / "cifar10" / f"{part}.zip") as archive:
                archive.extractall(folder / "cifar" / part)
        return folder / "cifar", sorted(p.name for p in (folder / "cifar/train").iterdir())
    stats = alike("data", "stats", "omniglot", "--json")
    return "omniglot", sorted(stats["classes"])


def measured(folder, left_out, seeds, extra, data):
    """Trains a run for each seed, and judges them as one ensemble."""
    began = time.time()
    words = [word for name in left_out for word in ("--exclude-class", name)]
    runs = [folder / f"run-{seed}" for seed in seeds]
    for run, seed in zip(runs, seeds):
        alike("train", "--data", data, *words, "--seed", seed, "--out", run, "--force", *extra)
    took = time.time() - began
    run = [runs[0], *(word for other in runs[1:] for word in ("--with", other))]
    judged = alike("eval", *run, "--json")
    unseen, feature = judged["unseen"], judged["spaces"]["feature"]
    others = [v for name, v in feature["knn"]["1"]["recall"].items() if name not in left_out]
    anomalies = alike("eval", "anomaly", *run, "--json")["rows"]

    def auroc(image):
        found = (r["auroc"] for r in anomalies if (r["space"] == "image") == image and r["method"].startswith("knn"))
        return max(found, default=float("nan"))

    pixels = unseen["image"]
    return {
        "means": unseen["class_mean"]["recall"],
        "means, pixels": pixels["class_mean"],
        "1-NN": unseen["knn"]["1"]["recall"],
        "1-NN, pixels": pixels["knn"]["1"],
        "5-NN": unseen["knn"]["5"]["recall"],
        "5-NN, pixels": pixels["knn"]["5"],
        "R-Precision": unseen["r_precision"],
        "R-Precision, pixels": pixels["r_precision"],
        "MAP@R": unseen["map_at_r"],
        "MAP@R, pixels": pixels["map_at_r"],
        "AUROC": auroc(False),
        "AUROC, pixels": auroc(True),
        "others, 1-NN": statistics.mean(others),
    }, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=["mnist", "cifar", "omniglot"])
    parser.add_argument("--classes", help="those that are left out in turn [default: all]")
    parser.add_argument("--seeds", default="1", help="1,2,3 for three rounds; 1+2,3+4 for two rounds of ensembles of two runs")
    parser.add_argument("--extra", default="", help="more options of alike train")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        data, classes = source(asked.set, folder)
        for seed in asked.seeds.split(","):
            if asked.set == "omniglot":
                tasks = [random.Random(int(seed.split("+")[0])).sample(classes, 20)]
            else:
                tasks = [[name] for name in (asked.classes.split(",") if asked.classes else classes)]
            for left_out in tasks:
                row, took = measured(folder, left_out, seed.split("+"), shlex.split(asked.extra), data)
                rows.append(row)
                what = left_out[0] if len(left_out) == 1 else f"{len(left_out)} classes"
                values = ", ".join(f"{name} {100 * v:.2f}" for name, v in row.items())
                print(f"without {what}, seed {seed}, {took:.0f} s: {values}", flush=True)
    means = ", ".join(f"{name} {100 * statistics.mean(r[name] for r in rows):.2f}" for name in rows[0])
    print(f"mean of {len(rows)}: {means} %")


if __name__ == "__main__":
    main()
