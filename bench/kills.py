"""Kills verbs at moments drawn by chance, and looks whether anything is lost: python bench/kills.py [VERB...] [--kills N] [--seed S]

Verbs: train, tune, embed, cache. Needs a release build, or another that ALIKE names, and no data: digits are drawn by the program. Each
verb runs once to its end; then it is killed (SIGKILL) again and again, N times in all, and started again as its user would. It must end
with the same bytes as the undisturbed run, and leave no part files in folders of its own. Prints a line a verb; ends with 1 if anything was lost.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
DIGITS = "digits:train=600,test=100"


def start(place, words):
    environment = {k: v for k, v in os.environ.items() if k != "ALIKE_DATA"}
    environment["XDG_CACHE_HOME"] = str(place / "cache")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([ALIKE, *words, "-q"], cwd=place, env=environment, **quiet)


def pictures(place, side, count):
    """Noise as PGM, which needs no encoder."""
    draw = random.Random(7)
    for name in ("a", "b"):
        (place / "pictures" / name).mkdir(parents=True)
        for i in range(count):
            head = f"P5 {side} {side} 255\n".encode()
            (place / "pictures" / name / f"{i}.pgm").write_bytes(head + draw.randbytes(side * side))


class Verb:
    """The command, how to go on after a kill, the files that count, and what is there before."""

    def __init__(self, begin, files, before=lambda place: None, again=lambda place: None):
        self.begin, self.files, self.before, self.again = begin, files, before, again

    def next(self, place):
        return self.again(place) or self.begin


def model(side, count):
    def before(place):
        pictures(place, side, count)
        run(place, f"train --data {DIGITS} --recipe seed --epochs 1 --out model")

    return before


# A run that had no checkpoint yet is trained anew.
TRAIN = f"train --data {DIGITS} --recipe seed --epochs 12 --out run --force"
RESUME = "train --resume run"
EMBED = "embed model pictures -o all.npy --force"
VERBS = {
    "train": Verb(
        TRAIN, ["run/last.safetensors"], again=lambda place: RESUME if (place / "run/last.safetensors").exists() else None
    ),
    "tune": Verb(f"tune --data {DIGITS} --recipe seed --candidates 4 --epochs 1 --out search", ["search/best.toml"]),
    "embed": Verb(EMBED, ["all.npy", "all.csv"], model(28, 1500)),
    # Pictures that take long to prepare: most kills come while the cache is written.
    "cache": Verb(EMBED.replace("--force", "--force --prepare size=28x28,resize=fit"), ["all.npy"], model(700, 150)),
}


def run(place, words):
    process = start(place, words.split())
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"alike {words}: {said.decode()}")


def digest(place, files):
    total = hashlib.sha256()
    for file in files:
        # A table says where its pictures lie.
        total.update((place / file).read_bytes().replace(str(place.resolve()).encode(), b"."))
    return total.hexdigest()


def whole(verb):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        verb.before(place)
        began = time.perf_counter()
        run(place, verb.begin)
        return digest(place, verb.files), time.perf_counter() - began


def disturbed(verb, expected, seconds, most, draw):
    """Kills up to `most` times, then lets the verb end; returns what was lost, if anything, and how many kills there were."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        verb.before(place)
        kills = 0
        while kills < most:
            process = start(place, verb.next(place).split())
            try:
                process.communicate(timeout=draw.uniform(0, seconds))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
        # A part file is known for a dead writer's once it is a second old.
        time.sleep(1.2)
        process = start(place, verb.next(place).split())
        _, said = process.communicate()
        if process.returncode:
            return f"cannot go on: {said.decode()}", kills
        if digest(place, verb.files) != expected:
            return "other bytes", kills
        # The folder of a run, a search and the cache have owners; beside a user's own files what is left is left.
        owned = [p for p in place.rglob("*.alike.part") if p.parent != place]
        return (f"left {owned[0].name}" if owned else None), kills


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("verbs", nargs="*", default=list(VERBS))
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    lost = 0
    for name in options.verbs:
        verb, draw = VERBS[name], random.Random(options.seed)
        expected, seconds = whole(verb)
        kills, rounds, wrong = 0, 0, []
        while kills < options.kills:
            problem, done = disturbed(verb, expected, seconds, min(5, options.kills - kills), draw)
            kills, rounds = kills + done, rounds + 1
            wrong += [problem] if problem else []
        print(f"{name}: {kills} kills in {rounds} rounds of {seconds:.1f} s: {len(wrong)} losses {wrong[:3]}", flush=True)
        lost += len(wrong)
    sys.exit(lost > 0)


main()
