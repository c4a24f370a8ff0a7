"""How many altered copies `alike duplicates` finds, and how many wrong pairs: python bench/duplicates.py PHOTOS [--alike FILE] [--copies 200]

Takes a folder of photos (`$ALIKE_DATA/clothing` if none is named), makes so many altered copies of each kind, puts them beside all photos, and
compares what is found with the truth and with a perceptual hash of 64 bits (the signs of the lowest frequencies; pairs of up to 10 bits, the
eight ways of lying included). Pairs of two photos that are no copies are listed, to be looked at: a set may hold real duplicates.
Needs Pillow and numpy.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

BITS = 10


def cropped(photo):
    w, h = photo.size
    return photo.crop((round(0.025 * w), round(0.025 * h), round(0.975 * w), round(0.975 * h)))


CHANGES = {
    "recompressed": (lambda p: p, 60),
    "grey": (ImageOps.grayscale, 90),
    "half size": (lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS), 90),
    "25 % brighter": (lambda p: ImageEnhance.Brightness(p).enhance(1.25), 90),
    "25 % darker": (lambda p: ImageEnhance.Brightness(p).enhance(0.75), 90),
    "cropped by 2.5 % a side": (cropped, 90),
    "mirrored": (ImageOps.mirror, 90),
    "rotated by 90 degrees": (lambda p: p.transpose(Image.Transpose.ROTATE_90), 90),
    "cropped, brighter, mirrored": (lambda p: ImageOps.mirror(ImageEnhance.Brightness(cropped(p)).enhance(1.25)), 75),
}


def hashes(path):
    """The perceptual hash, of all eight ways of lying."""
    with Image.open(path) as image:
        small = np.asarray(ImageOps.exif_transpose(image).convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    k = np.arange(8)[:, None]
    waves = np.cos(np.pi * (np.arange(32) + 0.5) * k / 32)
    out = []
    for plane in (small, small[:, ::-1]):
        for quarters in range(4):
            low = waves @ np.rot90(plane, quarters) @ waves.T
            out.append(np.packbits(low > np.median(low)).view(np.uint64)[0])
    return np.array(out)


def find(folder, alike):
    start = time.time()
    done = subprocess.run([alike, "duplicates", folder, "--json", "-q"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout), time.time() - start


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", nargs="?", type=Path)
    arguments.add_argument("--alike", default="target/release/alike")
    arguments.add_argument("--copies", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    photos = (asked.photos or Path(os.environ["ALIKE_DATA"]) / "clothing").resolve()
    endings = {".jpg", ".jpeg", ".png", ".pgm", ".webp", ".bmp", ".tif", ".tiff"}
    originals = sorted(p for p in photos.rglob("*") if p.suffix.lower() in endings)
    chosen = random.Random(asked.seed).sample(originals, min(asked.copies, len(originals)))
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        (made / "photos").symlink_to(photos)
        true = {}
        for name, (change, quality) in CHANGES.items():
            for number, path in enumerate(chosen):
                with Image.open(path) as image:
                    photo = ImageOps.exif_transpose(image)
                    photo = photo if photo.mode in ("RGB", "L") else photo.convert("RGB")
                    copy = made / "copies" / name / f"{number:04}.jpg"
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    change(photo).save(copy, quality=quality)
                true[copy] = (name, path)
        answer, seconds = find(made, asked.alike)
        # By picture: the original that its group stands for.
        root = {}
        for copy, (_, original) in true.items():
            root[str(copy)] = str(original)
        real = lambda name: str(Path(name).resolve())
        found = {name: 0 for name in CHANGES}
        kinds = {name: {} for name in CHANGES}
        wrong = {}
        for group in answer["groups"]:
            members = [(group["keep"]["name"], "keep")] + [(m["name"], m["kind"]) for m in group["others"]]
            paths = [(real(name), kind) for name, kind in members]
            copies = group["kind"] not in ("burst", "look-alike")
            roots = {root.get(path, path) for path, _ in paths}
            if len(roots) > 1:
                wrong.setdefault(group["kind"], []).append(sorted(roots))
            if not copies:
                continue
            there = {path for path, _ in paths}
            for path, kind in paths:
                if path in root and root[path] in there:
                    name = true[Path(path)][0]
                    found[name] += 1
                    kinds[name][kind] = kinds[name].get(kind, 0) + 1
        by_hash = {path: hashes(path) for path in originals}
        codes = np.array([by_hash[p][0] for p in originals])
        agree = {name: 0 for name in CHANGES}
        for copy, (name, original) in true.items():
            apart = np.bitwise_count(hashes(copy) ^ by_hash[original][0])
            agree[name] += int(apart.min() <= BITS)
        wrong_by_hash = 0
        for i, path in enumerate(originals):
            apart = np.bitwise_count(by_hash[path][:, None] ^ codes[None, :]).min(axis=0)
            wrong_by_hash += int((apart[i + 1 :] <= BITS).sum())
    print(f"{len(originals)} photos, {len(true)} copies; {seconds:.1f} s")
    print("| copies | of | found | as | by a perceptual hash |")
    print("|---|---:|---:|---|---:|")
    for name in CHANGES:
        of = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds[name].items()))
        print(f"| {name} | {len(chosen)} | {found[name]} | {of} | {agree[name]} |")
    print(f"pairs of photos that the hash takes for copies: {wrong_by_hash}")
    for kind, groups in wrong.items():
        print(f"groups of different photos, {kind}: {len(groups)}")
        for group in groups[:20]:
            print("  " + "  ".join(str(Path(p).relative_to(photos)) for p in group))


if __name__ == "__main__":
    main()
