"""How many instructions a call takes, beside the commit before: `make gates`.

Seconds are noisy and instructions are not: callgrind counts those of a dozen hot paths on both
twins, in this commit (`--head`, or `.`: the tree as it stands) and in the one before it (`--base`).
Both are built in temporary folders and measured in the same run. A path that has grown by more than
3 % fails, with the functions of C that grew; for the pure twin those are the interpreter's own.
A growth that is meant is said in the commit's message, `Slower on purpose: <path>`, with why.

How: one process a tree and twin runs every path N times and 2 N times; between them it calls
getppid, before which callgrind writes what it has counted, and starts anew. The difference of the
two counts, divided by N, is a call's. It repeats to a few tenths of a percent. Calls of malloc are
counted, and what the C library does inside one is not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "benchmarks" / "gate_paths.py"
MOST = 0.03  # of growth
COUNTED = ("gaistream", "src", "setup.py", "pyproject.toml")  # what may change a count
# what the C library's heap does inside depends on what was freed before, not on the code here
HEAP = re.compile(r"_int_|unlink_chunk|malloc_consolidate|sysmalloc|systrim|mremap_chunk")
Counts = dict[str, Counter[str]]  # of each path: instructions a call of each function


def git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def unpack(commit: str, folder: Path) -> None:
    """Put a commit's tree into a folder; "." is the tree as it stands, built files left out."""
    folder.mkdir()
    if commit == ".":
        for name in COUNTED:
            place = ROOT / name
            if place.is_dir():
                ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
                shutil.copytree(place, folder / name, ignore=ignored)
            else:
                shutil.copy(place, folder / name)
        return
    packed = subprocess.run(
        ["git", "archive", commit, *COUNTED], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "x"], cwd=folder, input=packed.stdout, check=True)


def build(folder: Path) -> None:
    """Compile the core of a tree in place."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, check=True,
        env={**os.environ, "GAISTREAM_BUILD": "native"}, capture_output=True,
    )  # fmt: skip


# ---- counting ----


def count(folder: Path, backend: str, quick: bool) -> Counts:
    """Count every path of one tree on one twin."""
    with tempfile.TemporaryDirectory() as kept:
        output = Path(kept) / "counts"
        command = [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={output}",
            "--dump-before=getppid",
            "--combine-dumps=no", "--compress-strings=no", "--compress-pos=no",
            sys.executable, "-B", str(WORK), *(["--quick"] if quick else []),
        ]  # fmt: skip
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=kept,
            # Python's own allocator empties and refills a pool, or does not, by what else is alive
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONPATH": str(folder),
                 "PYTHONMALLOC": "malloc", "GAISTREAM_BACKEND": backend},
        )  # fmt: skip
        if ran.returncode:
            sys.exit(f"callgrind failed:\n{ran.stdout}{ran.stderr}")
        return counts_of(ran.stdout, output)


def counts_of(said: str, output: Path) -> Counts:
    """Read the dumps: three a path, of which the first is what stood before it."""
    lines = [line.split("\t") for line in said.splitlines() if "\t" in line]
    found = {}
    for index, (name, times) in enumerate(lines):
        once, twice = (
            instructions(Path(f"{output}.{3 * index + step}")) for step in (2, 3)
        )  # fmt: skip
        twice.subtract(once)
        found[name] = Counter({fn: n / int(times) for fn, n in twice.items() if n})
    return found


def instructions(dump: Path) -> Counter[str]:
    """Sum a dump's own cost of each function; what a call costs inside is the callee's."""
    found: Counter[str] = Counter()
    function, of_call = "", False
    for line in dump.read_text().splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("calls="):
            of_call = True
        elif line[:1].isdigit():
            if not of_call and not HEAP.match(function):
                found[function] += int(line.split()[1])
            of_call = False
    return found


# ---- judging ----


def readable(function: str) -> str:
    """Give a function's name without Cython's decoration."""
    function = re.sub(r"'\d+$", "", function)
    return re.sub(r"^__pyx_(?:f|pw|pf|fuse_\d)?_?\d*(?:gaistream_4core_5_core_)?\d*", "", function)


def grown(base: Counter[str], head: Counter[str], most: int = 3) -> list[str]:
    """Name the functions that grew most."""
    growth = Counter({fn: head[fn] - base[fn] for fn in head.keys() | base.keys()})
    return [
        f"{readable(fn)} +{more:,.0f}" for fn, more in growth.most_common(most) if more >= 1
    ]  # fmt: skip


def judge(twin: str, base: Counts, head: Counts, meant: str) -> list[str]:
    """Print the counts of a twin, and give the paths that have grown too much."""
    print(f"\n{twin:34} {'base':>12} {'head':>12}   growth")
    failed = []
    for name, counted in head.items():
        now = sum(counted.values())
        if name not in base:
            print(f"  {name:32} {'':12} {now:12,.0f}   new")
            continue
        before = sum(base[name].values())
        growth = now / before - 1
        print(f"  {name:32} {before:12,.0f} {now:12,.0f} {growth:+8.2%}", end="")
        if growth > MOST and name in meant:
            print("   on purpose", end="")
        elif growth > MOST:
            failed.append(f"{twin}: {name} {growth:+.1%}: {'; '.join(grown(base[name], counted))}")
            print("   TOO MUCH", end="")
        print()
    return failed


def meant_by(base: str) -> str:
    """Give what the messages since `base` say is slower on purpose."""
    said = git("log", "--format=%B", f"{base}..HEAD")
    return "\n".join(re.findall(r"^Slower on purpose: (.*)$", said, re.MULTILINE))


def exists(commit: str) -> bool:
    return not subprocess.run(
        ["git", "rev-parse", "-q", "--verify", f"{commit}^{{commit}}"], cwd=ROOT,
        capture_output=True, check=False,
    ).returncode  # fmt: skip


def settings_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Instructions a call, beside the commit before.")
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with (HEAD~1)")
    parser.add_argument("--head", default=".", help="the commit to judge; '.': the tree (.)")
    parser.add_argument("--quick", action="store_true", help="fewer calls, and nothing to build or "
                        "count where no file that is counted has changed")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build, count, compare; 1 where something has grown."""
    settings = settings_of(arguments)
    if not exists(settings.base):
        print(f"gates: there is no {settings.base} to compare with (a shallow clone, or the first)")
        return 0
    heads = [] if settings.head == "." else [settings.head]
    if settings.quick and not git("diff", "--name-only", settings.base, *heads, "--", *COUNTED):
        print(f"gates: nothing that is counted differs from {settings.base}")
        return 0
    with tempfile.TemporaryDirectory() as kept, ThreadPoolExecutor(2) as pool:
        trees = {"base": Path(kept) / "base", "head": Path(kept) / "head"}
        for name, tree in trees.items():
            unpack(getattr(settings, name), tree)
        list(pool.map(build, trees.values()))
        jobs = {
            (twin, name): pool.submit(count, tree, twin, settings.quick)
            for twin in ("native", "pure") for name, tree in trees.items()
        }  # fmt: skip
        failed = []
        print(f"instructions a call: {settings.base} ({git('rev-parse', '--short', settings.base)})"
              f" and {settings.head}")
        for twin in ("native", "pure"):
            base, head = jobs[twin, "base"].result(), jobs[twin, "head"].result()
            failed += judge(twin, base, head, meant_by(settings.base))
    for each in failed:
        print(f"\ngrown by more than {MOST:.0%}: {each}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
