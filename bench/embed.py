"""Files to embeddings, beside a Python loop with ONNX Runtime and Pillow: python bench/embed.py MODEL.onnx FOLDER [--library LIB] [--runs 5] [--images 300]

MODEL.onnx has its manifest beside it (`alike encoders add`). Alike runs as a whole process, by rten or by the ONNX Runtime that `--library` names; the loop is timed
from its first picture to its last, without Python's start, and the better of two ways counts: one picture after the other in a session of so many
threads, or so many Python threads with a session of one thread each. The sides take turns; medians, and the ratio of the loop's time to Alike's, so that above 1 Alike is
faster. Needs numpy, onnxruntime and Pillow, and a release build (or another that ALIKE names).
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))


def prepared(path, p):
    """A picture as the manifest says: scaled so that its shorter side covers the crop, the middle cut out."""
    h, w = p["size"]
    share = p.get("crop", 1.0)
    with Image.open(path) as picture:
        # JPEG is decoded smaller where that is enough, as Alike does.
        picture.draft("RGB", (round(w / share), round(h / share)))
        picture = picture.convert("RGB")
        scale = max(h / share / picture.height, w / share / picture.width)
        size = (max(w, round(picture.width * scale)), max(h, round(picture.height * scale)))
        picture = picture.resize(size, Image.BICUBIC if p.get("filter") == "bicubic" else Image.BILINEAR)
        left, top = (size[0] - w) // 2, (size[1] - h) // 2
        pixels = np.asarray(picture.crop((left, top, left + w, top + h)), np.float32)
    if p["range"] != "0-255":
        pixels /= 255
    pixels = (pixels - np.float32(p["mean"])) / np.float32(p["std"])
    return pixels[None] if p["layout"] == "nhwc" else pixels.transpose(2, 0, 1)[None]


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def cpu(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--library")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    manifest = tomllib.loads(asked.model.with_name(asked.model.name + ".toml").read_text())
    p, output = manifest["preparation"], manifest["output"]
    photos = sorted(f for f in asked.folder.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))[: asked.images]
    one, many = session(asked.model, 1), session(asked.model, asked.threads)
    name = one.get_inputs()[0].name

    def run(by, photo):
        return by.run([output], {name: prepared(photo, p)})[0]

    def in_turn():
        return [run(many, photo) for photo in photos]

    def in_threads():
        with ThreadPoolExecutor(asked.threads) as pool:
            return list(pool.map(lambda photo: run(one, photo), photos))

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "photos"
        few.mkdir()
        for i, photo in enumerate(photos):
            shutil.copy(photo, few / f"{i:05}{photo.suffix}")

        def alike():
            words = [ALIKE, "embed", asked.model, few, "-o", f"{folder}/out.npy", "--force", "--no-cache", "-q", "--threads", str(asked.threads)]
            subprocess.run(words + (["--onnxruntime", asked.library] if asked.library else []), check=True, capture_output=True)

        sides = {"Alike": (alike, resource.RUSAGE_CHILDREN), "loop, in turn": (in_turn, resource.RUSAGE_SELF), "loop, threads": (in_threads, resource.RUSAGE_SELF)}
        found = {side: [] for side in sides}
        for turn in range(asked.runs + 1):
            for side, (work, who) in sides.items():
                before, began = cpu(who), time.perf_counter()
                work()
                # The first round warms caches.
                if turn:
                    found[side].append((time.perf_counter() - began, cpu(who) - before))
        per = {}
        for side, times in found.items():
            wall, used = ([1000 * t[k] / len(photos) for t in times] for k in (0, 1))
            per[side] = statistics.median(wall), statistics.median(used)
            print(f"{side}: {per[side][0]:.1f} ms an image ({min(wall):.1f} to {max(wall):.1f}), {per[side][1]:.1f} ms of CPU")
        mine = per.pop("Alike")
        best = min(per.values())
        print(f"{len(photos)} images, {asked.threads} threads: {best[0] / mine[0]:.2f} x the better loop, {best[1] / mine[1]:.2f} x by CPU")


if __name__ == "__main__":
    main()
