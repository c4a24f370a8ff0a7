"""Fuzzes every parser for long: python bench/fuzz.py [TARGET...] [--minutes 20] [--inputs 1000000] [--plain]

Needs cargo-fuzz (`cargo install cargo-fuzz`). Builds the targets, writes their seeds, and runs each until it has had so many CPU minutes and
so many inputs, whichever is later: under the address sanitizer, or with `--plain` without, which is five to ten times as fast and enough for what
is written in safe Rust alone. `parquet` needs `--plain`: the sanitizer takes more memory than its decoder may. After every slice,
`fuzz/long.json` holds what was done, so that a run that was stopped goes on where it was; `--table` prints it for RESULTS.md. An input that
fails ends its target; the file lies in `fuzz/artifacts/TARGET/`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"
STATE = FUZZ / "long.json"
# Where the binaries without the sanitizer are built, in the folder of the targets.
PLAIN = "plain"
# A process for each table of Parquet: one without libFuzzer starts in a fifth of the time.
DECODER = ROOT / "target/release/decode-parquet"
# The limits in `crates/alike-fuzz` are far below this: an input that needs more is a finding.
MEMORY_MB = 2048
# Wall clock: on a busy machine, an input of a few CPU seconds may take minutes.
SECONDS = 600


def build(plain):
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1"}
    without = ["--sanitizer", "none", "--target-dir", FUZZ / PLAIN] if plain else []
    subprocess.run(["cargo", "fuzz", "build", "--release", *without], cwd=ROOT, env=environment, check=True)
    subprocess.run(["cargo", "run", "-q", "-p", "alike-fuzz", "--bin", "corpus"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "alike-fuzz", "--bin", "decode-parquet"], cwd=ROOT, check=True)


def binary(target, plain):
    folder = PLAIN if plain else "target"
    found = list(FUZZ.glob(f"{folder}/*/release/{target}"))
    if not found:
        sys.exit(f"error: no binary of {target} under {FUZZ}/{folder}")
    return found[0]


def run_slice(target, seconds, plain):
    """What one process of libFuzzer does: CPU seconds, inputs, edges covered, and whether it failed."""
    corpus, kept = FUZZ / "corpus" / target, FUZZ / "artifacts" / target
    kept.mkdir(parents=True, exist_ok=True)
    words = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS}"]
    words += [f"-artifact_prefix={kept}/", str(corpus)]
    environment = os.environ | ({"ALIKE_FUZZ_DECODER": str(DECODER)} if DECODER.exists() else {})
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen([binary(target, plain), *words], stdout=log, stderr=log, cwd=FUZZ, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        log.seek(0)
        text = log.read().decode(errors="replace")
    inputs = re.findall(r"stat::number_of_executed_units: (\d+)", text)
    edges = [int(n) for n in re.findall(r"cov: (\d+)", text)]
    failed = os.waitstatus_to_exitcode(status) != 0
    if failed:
        (kept / "log").write_text(text)
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "inputs": int(inputs[-1]) if inputs else 0,
        "edges": max(edges, default=0),
        "failed": failed,
        "plain": plain,
    }


def table(state):
    print("| target | address sanitizer | inputs | CPU minutes | edges | edges at half | findings |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for target, slices in sorted(state.items()):
        how = "no" if any(s.get("plain") for s in slices) else "yes"
        total = sum(s["cpu"] for s in slices)
        reached, at_half = 0.0, 0
        for s in slices:
            reached += s["cpu"]
            at_half = max(at_half, s["edges"])
            if reached >= total / 2:
                break
        inputs, edges = sum(s["inputs"] for s in slices), max(s["edges"] for s in slices)
        findings = sum(s["failed"] for s in slices)
        print(f"| {target} | {how} | {inputs:,} | {total / 60:.1f} | {edges} | {at_half} | {findings} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("targets", nargs="*")
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--inputs", type=int, default=1_000_000)
    arguments.add_argument("--slice", type=int, default=120, help="seconds of a process")
    arguments.add_argument("--no-build", action="store_true")
    arguments.add_argument("--plain", action="store_true", help="without the address sanitizer")
    arguments.add_argument("--table", action="store_true", help="print what was done, and do nothing")
    said = arguments.parse_args()
    state = json.loads(STATE.read_text()) if STATE.exists() else {}
    if said.table:
        return table(state)
    if not said.no_build:
        build(said.plain)
    targets = said.targets or [p.stem for p in sorted(FUZZ.glob("fuzz_targets/*.rs"))]
    for target in targets:
        slices = state.setdefault(target, [])
        while sum(s["cpu"] for s in slices) < 60 * said.minutes or sum(s["inputs"] for s in slices) < said.inputs:
            slices.append(run_slice(target, said.slice, said.plain))
            # Several of these may run at once, each with targets of its own.
            now = json.loads(STATE.read_text()) if STATE.exists() else {}
            now[target] = slices
            part = STATE.with_suffix(".part")
            part.write_text(json.dumps(now))
            part.replace(STATE)
            last = slices[-1]
            print(f"{target}: {last['inputs']} inputs, {last['cpu']:.0f} CPU s, {last['edges']} edges", flush=True)
            if last["failed"]:
                print(f"{target}: FOUND something, see {FUZZ}/artifacts/{target}", flush=True)
                break
    failed = [t for t in targets if any(s["failed"] for s in state[t])]
    sys.exit(f"error: findings in {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
