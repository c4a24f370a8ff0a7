"""Shows that a change of the inside changed no result: python bench/same.py OLD NEW, two binaries of Alike.

Trains with both (checkpoints must be equal to the bit), then asks both the same questions of the runs that OLD trained, as JSON: every
value of OLD must be in NEW, under its own name or the one that `RENAMED` gives. What NEW adds is listed. Ends with 1 at any difference.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = "digits:train=600,test=200"
# name: flags of `train`
RUNS = {
    "seed": "--recipe seed --epochs 1",
    "fast": "--recipe fast --epochs 1",
    "mined": "--loss multi-similarity --miner multi-similarity --epochs 1 --augment custom:shift=0.1 --network plain",
    "proxies": "--loss proxy-anchor --epochs 2 --network shallow --optimizer sgd",
    "memory": "--loss contrastive --memory 256 --epochs 1 --network shallow",
    "whitened": "--start whitened",
    "unseen": "--recipe seed --epochs 1 --exclude-class 0,1",
}
# verb: words, where RUN, OTHER, A and B stand for runs and pictures
QUESTIONS = {
    "eval": "eval RUN",
    "eval of other data": "eval RUN --data digits:train=300,test=100,seed=5",
    "eval of an ensemble": "eval RUN --with OTHER --flip",
    "few-shot": "eval few-shot RUN --data digits:train=300,test=100,seed=5 --episodes 50",
    "verification": "eval verification RUN",
    "anomaly protocol": "eval anomaly UNSEEN",
    "compare": "compare RUN OTHER",
    "search": "search RUN A B -k 3",
    "search in a gallery": "search RUN A --gallery PICTURES -k 2",
    "classify": "classify RUN A B",
    "verify": "verify RUN A B",
    "verify at a rate": "verify RUN A B --far 0.01",
    "verify by a threshold": "verify RUN A B --threshold 1",
    "anomaly": "anomaly UNSEEN A B",
    "anomaly of pictures": "anomaly RUN A B --gallery PICTURES",
    "cluster": "cluster RUN",
    "health": "health RUN",
    "losses": "losses",
    "model": "model show RUN",
    "data": "data stats digits:train=300,test=100",
}
# What a field of OLD is called in NEW.
RENAMED = {}
# Fields that are prose, which may be put in other words.
PROSE = ("summary",)


def search_is_one_object(old):
    """A list, in which every query named the gallery."""
    if not isinstance(old, list):
        return old
    gallery = old[0]["gallery"] if old else None
    return {"gallery": gallery, "queries": [{k: v for k, v in q.items() if k != "gallery"} for q in old]}


def losses_are_one_object(old):
    """A list, in which proxies were called class vectors."""
    if not isinstance(old, list):
        return old
    return {"losses": [{"proxies" if k == "class_vectors" else k: v for k, v in loss.items()} for loss in old]}


RESHAPED = {"search": search_is_one_object, "search in a gallery": search_is_one_object, "losses": losses_are_one_object}


def as_old(words):
    """A command line of today in the grammar of version 0.1: the protocol behind the run, other names of flags."""
    if words[0] == "eval" and words[1] in ("few-shot", "verification", "anomaly"):
        words[1], words[2] = words[2], words[1]
    renamed = {"anomaly": {"--gallery": "--reference"}, "verify": {"--gallery": "--known"}}.get(words[0], {})
    return [renamed.get(word, word) for word in words]


def flat(value, at=""):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from flat(v, f"{at}.{k}" if at else k)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from flat(v, f"{at}[{i}]")
    else:
        yield at, value


def run(binary, words, cwd):
    done = subprocess.run([binary, *words], cwd=cwd, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def pictures(place):
    """Squares and bars of grey as PGM, which needs no encoder."""
    for name in ("square", "bar"):
        (place / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            far = 4 + i % 5
            inside = (lambda x, y: far < x < 23 and far < y < 23) if name == "square" else (lambda x, y: far < x < far + 6)
            rows = bytes(200 + i if inside(x, y) else 10 * (i % 3) for y in range(28) for x in range(28))
            (place / "pictures" / name / f"{i}.pgm").write_bytes(b"P5 28 28 255\n" + rows)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old", type=Path)
    arguments.add_argument("new", type=Path)
    arguments.add_argument("--grammar", action="store_true", help="OLD speaks the grammar of version 0.1")
    said = arguments.parse_args()
    old, new = said.old.resolve(), said.new.resolve()
    failed, added = [], set()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        pictures(place)
        for name, flags in RUNS.items():
            for side, binary in (("old", old), ("new", new)):
                code, _, err = run(binary, ["train", "--data", DATA, *flags.split(), "-o", f"{side}-{name}", "-q"], place)
                if code:
                    failed.append(f"train {name}: {side} says {err.strip()}")
            both = [(place / f"{side}-{name}/last.safetensors") for side in ("old", "new")]
            same = all(f.exists() for f in both) and both[0].read_bytes() == both[1].read_bytes()
            print(f"train {name}: {'equal to the bit' if same else 'DIFFERENT'}", flush=True)
            if not same:
                failed.append(f"train {name}")
        stand_for = {"RUN": "old-seed", "OTHER": "old-fast", "UNSEEN": "old-unseen", "PICTURES": "pictures"}
        stand_for |= {"A": "pictures/square/3.pgm", "B": "pictures/bar/4.pgm"}
        for name, words in QUESTIONS.items():
            words = [stand_for.get(w, w) for w in words.split()] + ["--json", "-q"]
            (code, a, err), (code_new, b, err_new) = run(old, as_old(list(words)) if said.grammar else words, place), run(new, words, place)
            if code or code_new:
                failed.append(f"{name}: {err.strip() or 'well'} / {err_new.strip() or 'well'}")
                print(f"{name}: FAILED")
                continue
            a = dict(flat(RESHAPED.get(name, lambda v: v)(json.loads(a))))
            b = dict(flat(json.loads(b)))
            missing = {k: v for k, v in a.items() if v is not None and b.get(RENAMED.get(k, k)) != v and not k.endswith(PROSE)}
            added |= {f"{name}: {k}" for k in b.keys() - {RENAMED.get(k, k) for k in a}}
            print(f"{name}: {len(a)} values, {len(missing)} different", flush=True)
            failed += [f"{name}: {k}: {v!r} became {b.get(RENAMED.get(k, k))!r}" for k, v in missing.items()]
    shapes = sorted({"".join(c for c in k if not c.isdigit()) for k in added})
    print("added fields:", *(shapes or ["none"]), sep="\n  ")
    print("renamed fields:", *(f"{k} -> {v}" for k, v in RENAMED.items()) if RENAMED else ["none"], sep="\n  ")
    if failed:
        sys.exit("\n".join(["error: results changed", *failed[:40]]))


if __name__ == "__main__":
    main()
