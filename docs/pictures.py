"""Makes the pictures of README.md: python docs/pictures.py path/to/alike

Draws four small sets of pictures (products, faces, parts, characters), so that nobody's photos have to lie in this project, and runs the
commands of README.md on them. Everything follows from fixed seeds.
"""

import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SIDE = 64


def write(path, colour):
    """A picture whose pixel (x, y), each from -1 to 1, has the colour that `colour` says, smoothed over four samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = bytearray()
    for row in range(SIDE):
        for column in range(SIDE):
            samples = [
                colour((2 * column + dx) / SIDE - 1, (2 * row + dy) / SIDE - 1) for dx in (0.5, 1.5) for dy in (0.5, 1.5)
            ]
            pixels += bytes(max(0, min(255, round(sum(s[c] for s in samples) / 4))) for c in range(3))
    path.write_bytes(b"P6 %d %d 255\n" % (SIDE, SIDE) + pixels)


def ellipse(x, y, cx, cy, rx, ry):
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1


PRODUCTS = {
    "mug": lambda x, y: (abs(x + 0.1) < 0.4 and abs(y) < 0.5)
    or (ellipse(x, y, 0.4, 0, 0.3, 0.3) and not ellipse(x, y, 0.4, 0, 0.17, 0.17)),
    "bottle": lambda x, y: (abs(x) < 0.25 and -0.2 < y < 0.8) or (abs(x) < 0.1 and -0.8 < y <= -0.2),
    "lamp": lambda x, y: (-0.7 < y < -0.1 and abs(x) < 0.2 + 0.5 * (y + 0.7)) or (abs(x) < 0.05 and -0.1 <= y < 0.6)
    or (abs(x) < 0.35 and 0.6 <= y < 0.7),
    "box": lambda x, y: abs(x) < 0.6 and abs(y) < 0.45 and not (abs(x) < 0.04 or abs(y + 0.2) < 0.04),
    "plate": lambda x, y: ellipse(x, y, 0, 0, 0.75, 0.75) and not (0.45 < math.hypot(x, y) < 0.5),
}


def product(shape, rng):
    size, turn = rng.uniform(0.8, 1.1), rng.uniform(-0.25, 0.25)
    dx, dy = rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15)
    ink = [rng.uniform(30, 190) for _ in range(3)]
    paper = [rng.uniform(200, 250) for _ in range(3)]
    cos, sin = math.cos(turn) / size, math.sin(turn) / size

    def colour(x, y):
        x, y = x - dx, y - dy
        inside = shape(cos * x - sin * y, sin * x + cos * y)
        return [v + 25 * x for v in ink] if inside else [v + 20 * y for v in paper]

    return colour


def person(rng):
    """Proportions of a face, which a person keeps."""
    return {
        "width": rng.uniform(0.42, 0.66),
        "eyes": rng.uniform(0.16, 0.32),
        "eye": rng.uniform(0.05, 0.1),
        "brow": rng.uniform(-0.02, 0.1),
        "nose": rng.uniform(0.08, 0.3),
        "mouth": rng.uniform(0.12, 0.34),
        "hair": rng.uniform(-0.6, -0.15),
        "skin": rng.uniform(120, 225),
        "dark": rng.uniform(20, 110),
    }


def face(p, rng):
    dx, dy, smile = rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06), rng.uniform(-0.6, 0.6)
    light, look = rng.uniform(-45, 45), rng.uniform(-0.05, 0.05)

    def colour(x, y):
        x, y = x - dx, y - dy
        v = 235.0
        if ellipse(x, y, 0, 0, p["width"], 0.8):
            v = p["skin"] + light * x
            turned = x - look
            if y < p["hair"] - 0.25 * turned * turned:
                v = p["dark"]
            elif any(ellipse(turned, y, s * p["eyes"], -0.1, p["eye"] * 1.5, p["eye"]) for s in (-1, 1)):
                v = 25
            elif abs(abs(turned) - p["eyes"]) < 0.12 and abs(y + 0.27 + p["brow"]) < 0.025:
                v = p["dark"]
            elif abs(turned) < 0.02 and -0.05 < y < p["nose"]:
                v -= 50
            elif abs(turned) < p["mouth"] and abs(y - 0.45 + smile * turned * turned) < 0.035:
                v = 70
        return [v, v, v]

    return colour


def part(fault, rng):
    """A washer, seen from above; with a fault perhaps."""
    turn, light, tone = rng.uniform(0, 2 * math.pi), rng.uniform(-30, 30), rng.uniform(130, 165)
    dx, dy = rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)
    grain = [rng.uniform(-6, 6) for _ in range(97)]

    def colour(x, y):
        x, y = x - dx, y - dy
        r, angle = math.hypot(x, y), (math.atan2(y, x) + turn) % (2 * math.pi)
        v = 40.0
        missing = fault == "broken" and angle < 0.5
        if 0.35 < r < 0.75 and not missing:
            v = tone + light * x + 20 * math.cos(12 * r) + grain[int(97 * angle / 7)]
            if fault == "scratched" and abs(r * math.cos(angle) - 0.5) < 0.02:
                v += 80
            if fault == "stained" and math.hypot(r * math.cos(angle) - 0.55, r * math.sin(angle)) < 0.14:
                v -= 70
        return [v, v, v]

    return colour


def main():
    alike = str(Path(sys.argv[1]).resolve())

    def run(words, folder):
        subprocess.run([alike, *words.split(), "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as place:
        folder, rng = Path(place), random.Random(1)
        for name, shape in PRODUCTS.items():
            for i in range(40):
                write(folder / f"photos/{name}/{i:02}.ppm", product(shape, rng))
            write(folder / f"new/{name}.ppm", product(shape, rng))
        for i in range(24):
            who = person(rng)
            for k in range(8):
                write(folder / f"faces/person{i:02}/{k}.ppm", face(who, rng))
        for i in range(60):
            write(folder / f"good/{i:02}.ppm", part(None, rng))
        for fault in (None, "broken", "scratched", "stained"):
            for i in range(2):
                write(folder / f"incoming/{fault or 'good'}{i}.ppm", part(fault, rng))
        run("train --data photos --out runs/photos", folder)
        run(f"search runs/photos --gallery photos new/mug.ppm new/lamp.ppm new/plate.ppm -k 5 --force -o {DOCS}/photos.png", folder)
        run("train --data faces --split class:test=0.5 --start whitened --out runs/faces", folder)
        run(f"eval verification runs/faces --flip --force -o {DOCS}/faces.png", folder)
        run("train --data good --out runs/parts", folder)
        run(f"anomaly runs/parts --gallery good incoming --force -o {DOCS}/parts.png", folder)
        run("train --data digits --split class:test=0.5 --recipe fast --out runs/characters", folder)
        run(f"eval few-shot runs/characters --ways 5 --shots 1 --force -o {DOCS}/characters.png", folder)


if __name__ == "__main__":
    main()
