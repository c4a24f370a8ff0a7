"""Kills verbs at moments drawn by chance, and looks whether anything is lost: python bench/kills.py [VERB...] [--kills N] [--seed S]

Verbs: train, tune, embed, cache, and of collections add, sync, remove, reembed, compact and duplicates. Needs a release build, or another that ALIKE
names, and no data: digits are drawn by the program. Each verb runs once to its end; then it is killed (SIGKILL) again and again, N times in all, and
started again as its user would. It must end with the same content as the undisturbed run, and leave no part files in folders of its own. After each kill a
collection must be sound and hold all that was acknowledged before, and moved duplicates must come back. Prints a line a verb; ends with 1 if anything was lost.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALIKE = Path(os.environ.get("ALIKE", ROOT / "target/release/alike"))
DIGITS = "digits:train=600,test=100"


def start(place, words, out=subprocess.DEVNULL):
    environment = {k: v for k, v in os.environ.items() if k != "ALIKE_DATA"}
    environment |= {"XDG_CACHE_HOME": str(place / "cache"), "HOME": str(place / "home")}
    words = words.split() if isinstance(words, str) else words
    return subprocess.Popen([ALIKE, *words, "-q"], cwd=place, env=environment, stdout=out, stderr=subprocess.PIPE)


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

    def killed(self, place):
        """What is wrong after a kill; nothing here, where the next run tells."""

    def result(self, place):
        return digest(place, self.files)


class Kept(Verb):
    """A verb of a collection: what is there before it stays there, and it is sound after each kill."""

    def __init__(self, begin, before, stays):
        super().__init__(begin, [], before)
        self.stays = stays

    def killed(self, place):
        faults = json.loads(run(place, "collection check c.alike --json"))["faults"]
        if faults:
            return f"after a kill: {faults[0]}"
        lost = self.stays - listed(place)
        return f"lost {len(lost)} acknowledged pictures" if lost else None

    def result(self, place):
        # A picture a line, in an order that does not depend on when it was added.
        run(place, "collection export c.alike -o out.npy --force")
        with open(place / "out.npy", "rb") as file:
            file.seek(8)
            length = int.from_bytes(file.read(2), "little")
            file.seek(10 + length)
            rows = file.read()
        table = (place / "out.csv").read_text().splitlines()[1:]
        width = len(rows) // max(len(table), 1)
        lines = [row.split(",")[1:3] + [rows[i * width : (i + 1) * width].hex()] for i, row in enumerate(table)]
        text = "\n".join(sorted(",".join(line) for line in lines))
        return hashlib.sha256(text.replace(str(place.resolve()), ".").encode()).hexdigest()


class Duplicates(Verb):
    """Moved files come back by the journal, whenever it was killed."""

    def killed(self, place):
        # Before its journal is there, nothing is moved.
        if (place / "moved/moved.jsonl").exists():
            run(place, "duplicates --undo moved")
        shutil.rmtree(place / "moved", ignore_errors=True)
        return None if tree(place / "pictures") == self.there else "a file is not back"

    def result(self, place):
        moved = tree(place / "pictures")
        problem = self.killed(place)
        return problem or moved


def tree(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    text = "\n".join(f"{p.relative_to(folder)} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in files)
    return hashlib.sha256(text.encode()).hexdigest()


def listed(place):
    """Pictures of the collection, by their names below the folder."""
    told = json.loads(run(place, "collection list c.alike --most 1000000 --json"))
    return {p["path"].split("/pictures/")[-1] for p in told["pictures"]}


def model(side, count):
    def before(place):
        pictures(place, side, count)
        run(place, f"train --data {DIGITS} --recipe seed --epochs 1 --out model")

    return before


def collection(*commands, side=256, count=1500):
    def before(place):
        model(side, count)(place)
        run(place, f"collection create ./c.alike model {FIT}")
        for command in commands:
            run(place, command)

    return before


def copies(place):
    """Two hundred groups of three files with the same bytes."""
    draw = random.Random(9)
    for i in range(200):
        content = b"P5 64 64 255\n" + draw.randbytes(64 * 64)
        for name in "abc":
            path = place / f"pictures/{name}/{i}.pgm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    Duplicates.there = tree(place / "pictures")


def of(folder, count=1500):
    return {f"{folder}/{i}.pgm" for i in range(count)}


FIT = "--prepare size=28x28,resize=fit"
SYNC = "collection sync c.alike pictures"


def changed(place):
    """Pictures that are new, changed, moved and gone since the collection followed the folder."""
    collection(SYNC)(place)
    draw = random.Random(11)
    new = lambda: b"P5 256 256 255\n" + draw.randbytes(256 * 256)
    for i in range(500):
        (place / f"pictures/a/{i}.pgm").write_bytes(new())
        (place / f"pictures/b/{i}.pgm").rename(place / f"pictures/a/moved-{i}.pgm")
        (place / f"pictures/b/{500 + i}.pgm").unlink()
        (place / f"pictures/b/new-{i}.pgm").write_bytes(new())


def another(place):
    collection(SYNC)(place)
    run(place, f"train --data {DIGITS} --recipe seed --epochs 1 --seed 5 --out other")


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
    "add": Kept("collection add c.alike pictures/b", collection("collection add c.alike pictures/a"), of("a")),
    "sync": Kept(SYNC, changed, {f"b/{i}.pgm" for i in range(1000, 1500)} | of("a")),
    "remove": Kept(["collection", "remove", "c.alike", "--where", "class = 'b'"], collection(SYNC), of("a")),
    "reembed": Kept(f"collection reembed c.alike other {FIT}", another, of("a") | of("b")),
    "compact": Kept("collection compact c.alike", collection(SYNC, ["collection", "remove", "c.alike", "--where", "class = 'b'"]), of("a")),
    "duplicates": Duplicates("duplicates pictures --move-to moved", [], copies),
}


def run(place, words):
    process = start(place, words, subprocess.PIPE)
    said, why = process.communicate()
    if process.returncode:
        raise SystemExit(f"alike {words}: {why.decode()}")
    return said


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
        seconds = time.perf_counter() - began
        return verb.result(place), seconds


def disturbed(verb, expected, seconds, most, draw):
    """Kills up to `most` times, then lets the verb end; returns what was lost, if anything, and how many kills there were."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        verb.before(place)
        kills = 0
        while kills < most:
            process = start(place, verb.next(place))
            try:
                process.communicate(timeout=draw.uniform(0, seconds))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
                problem = verb.killed(place)
                if problem:
                    return problem, kills
        # A part file is known for a dead writer's once it is a second old.
        time.sleep(1.2)
        process = start(place, verb.next(place))
        _, said = process.communicate()
        if process.returncode:
            return f"cannot go on: {said.decode()}", kills
        if verb.result(place) != expected:
            return "another result", kills
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
