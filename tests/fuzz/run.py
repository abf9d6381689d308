"""Fuzzing of the core, instrumented, beside its pure twin: `make fuzz`.

The core is built by clang with coverage counters and AddressSanitizer (build/fuzz), and atheris
drives the targets beside this file, which compare the twins: a difference between them, and a read
or write where none may be, is a finding, which fails. The input that led to it is kept in
build/fuzz/found: `make fuzz ARGS="decoders build/fuzz/found/…"` runs it again. A corpus is begun
with the vectors of tests/data and kept in build/fuzz/corpus, so that the next run goes on from
there. Needs Linux, clang with its runtime (Debian: clang libclang-rt-dev) and CPython 3.11 to 3.13.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import atheris
from instrumented import ROOT, built, environment

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
QUICK = 15  # seconds a target
LONG = 300


def seed(folder: Path) -> None:
    """Begin the corpus of the decoders with the vectors: four choices stand before a stream."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in ((0, "sse_cases.jsonl"), (1, "ndjson_cases.jsonl")):
        lines = (ROOT / "tests" / "data" / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            text = base64.b64decode(json.loads(line)["input_b64"])
            if len(text) < 4000:
                # a provider takes numbers from the end
                choices = bytes([1, number % 9, 0, kind])
                (folder / f"{name}.{number}").write_bytes(text + choices)


def run(target: str, folder: Path, seconds: int, inputs: list[str]) -> tuple[str, int, str]:
    """Run a target, and give what it said."""
    corpus, found = folder / "corpus" / target, folder / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    if target == "decoders":
        seed(corpus)
    limits = inputs or [f"-max_total_time={seconds}", str(corpus)]
    env = environment(
        folder,
        LD_PRELOAD=str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        ASAN_OPTIONS="detect_leaks=0",
    )
    env["PYTHONPATH"] += f":{HERE}"
    command = [
        sys.executable, str(HERE / f"fuzz_{target}.py"), "-print_final_stats=1", "-max_len=4096",
        "-timeout=30", f"-artifact_prefix={found}/{target}-", *limits,
    ]  # fmt: skip
    ran = subprocess.run(command, env=env, text=True, errors="replace", check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    return target, ran.returncode, ran.stdout


def settings_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz the core beside its pure twin.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="one target (all of them)")
    parser.add_argument("input", nargs="*", help="run these inputs instead of looking for others")
    parser.add_argument("--seconds", type=int, default=LONG, help=f"a target's time ({LONG})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} seconds a target")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Build, run every target, two at a time, and tell what was found."""
    settings = settings_of(arguments)
    folder = built("fuzz")
    seconds = QUICK if settings.quick else settings.seconds
    targets = [settings.target] if settings.target else TARGETS
    failed = 0
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run, each, folder, seconds, settings.input) for each in targets]
        for job in jobs:
            target, code, said = job.result()
            runs = [line.split()[-1] for line in said.splitlines() if "number_of_executed" in line]
            print(f"{target:10} {runs[0] if runs else '?':>8} runs  {'FOUND' if code else 'ok'}")
            if code:
                failed += 1
                print(said[-6000:], file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
