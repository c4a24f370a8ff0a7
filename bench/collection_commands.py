"""Times whole commands on collections: python bench/collection_commands.py --work DIR [--n N] [--files N] [--times N]

Needs numpy and a release build of alike, or another that ALIKE names. A small network is trained on digits that the program draws. Then a collection of N
vectors (a million) is imported, searched by a vector and added to, each by a process of its own; a folder of pictures is followed that does not change;
and twelve processes enroll a thousand pictures at once. Prints a line a figure, medians with minimum and maximum; ends with 1 if a picture is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))


class Place:
    """A folder that commands run in, with a user folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        names = {"XDG_CACHE_HOME": "cache", "ALIKE_COLLECTIONS": "collections", "HOME": "home"}
        self.environment = os.environ | {name: str(folder / at) for name, at in names.items()}

    def run(self, *words):
        done = subprocess.run([ALIKE, *map(str, words)], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"alike {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def timed(self, times, *words):
        """Milliseconds of a command, and CPU milliseconds, medians of so many runs after one that warms up."""
        self.run(*words)
        walls, cpus = [], []
        for _ in range(times):
            before, began = os.times(), time.perf_counter()
            self.run(*words)
            walls.append(1e3 * (time.perf_counter() - began))
            after = os.times()
            cpus.append(1e3 * (after.children_user + after.children_system - before.children_user - before.children_system))
        return f"{statistics.median(walls):.0f} ms ({min(walls):.0f} to {max(walls):.0f}), CPU {statistics.median(cpus):.0f} ms"


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, 784, np.uint8)
    path.write_bytes(b"P5 28 28 255\n" + values.tobytes())


def gallery(place, n, fingerprint, d):
    """N vectors as alike embed would have written them, of paths of sixty bytes."""
    draw = np.random.default_rng(1)
    np.save(place.folder / "all.npy", draw.standard_normal((n, d), np.float32))
    np.save(place.folder / "query.npy", draw.standard_normal((1, d), np.float32))
    with open(place.folder / "all.csv", "w") as table:
        table.write("row,path,class,place,written_by\n")
        for i in range(n):
            path = f"/home/somebody/photos/of/a/long/holiday/picture-{i:09}.jpg"
            table.write(f"{i},{path},c{i % 10},{path},alike embed\n")
    (place.folder / "all.json").write_text(json.dumps({"model": fingerprint, "n": n, "d": d}))


def many(place, times, n):
    place.run("train", "--data", "digits:train=600,test=100", "--recipe", "seed", "--network", "conv(16) relu maxpool(2) gap linear(128)", "--epochs", "1", "--out", "run", "--force", "-q")
    for old in ["big.alike", "big.codes"]:
        (place.folder / old).unlink(missing_ok=True)
    made = json.loads(place.run("collection", "create", "./big.alike", "run", "--json"))
    gallery(place, n, made["fingerprint"], made["dimension"])
    began = time.perf_counter()
    place.run("--limit", "array=16G,text=4G,memory=16G,images=4M", "collection", "import", "big.alike", "all.npy")
    print(f"import of {n:,} vectors of {made['dimension']} numbers: {time.perf_counter() - began:.1f} s", flush=True)
    began = time.perf_counter()
    place.run("collection", "compact", "big.alike")
    print(f"compact: {time.perf_counter() - began:.1f} s", flush=True)
    print("search by a vector, whole process:", place.timed(times, "search", "big.alike", "--vectors", "query.npy", "-q"), flush=True)
    walls = []
    for i in range(times):
        picture(place.folder / f"one/{i}.pgm", 10_000 + i)
        began = time.perf_counter()
        place.run("enroll", "big.alike", "--class", "new", f"one/{i}.pgm", "-q")
        walls.append(1e3 * (time.perf_counter() - began))
    print(f"enroll of one picture, whole process: {statistics.median(walls):.0f} ms ({min(walls):.0f} to {max(walls):.0f})", flush=True)


def follow(place, times, files):
    for i in range(files):
        path = place.folder / f"followed/{i % 100}/{i}.pgm"
        if not path.exists():
            picture(path, i)
    if not (place.folder / "followed.alike").exists():
        place.run("collection", "create", "./followed.alike", "run")
        place.run("collection", "sync", "followed.alike", "followed", "-q")
    print(f"sync of {files:,} unchanged files:", place.timed(times, "collection", "sync", "followed.alike", "followed", "-q"), flush=True)


def at_once(place):
    for i in range(1000):
        picture(place.folder / f"crowd/{i}.pgm", 20_000 + i)
    (place.folder / "crowd.alike").unlink(missing_ok=True)
    place.run("collection", "create", "./crowd.alike", "run")

    def enroll(part):
        for i in range(part, 1000, 12):
            place.run("enroll", "crowd.alike", "--class", "crowd", f"crowd/{i}.pgm", "-q")

    began = time.perf_counter()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(enroll, range(12)))
    seconds = time.perf_counter() - began
    listed = json.loads(place.run("collection", "list", "crowd.alike", "--most", "2000", "--json"))
    paths = {picture["path"] for picture in listed["pictures"]}
    faults = json.loads(place.run("collection", "check", "crowd.alike", "--json"))["faults"]
    print(f"twelve processes enroll 1,000 pictures: {listed['matching']} there, {len(paths)} different, {len(faults)} faults, {seconds:.1f} s", flush=True)
    return listed["matching"] == 1000 and len(paths) == 1000 and not faults


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--work", type=Path, required=True)
    options.add_argument("--n", type=int, default=1_000_000)
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--times", type=int, default=9)
    options = options.parse_args()
    place = Place(options.work.resolve())
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    many(place, options.times, options.n)
    follow(place, options.times, options.files)
    sys.exit(0 if at_once(place) else 1)


main()
