"""The core under valgrind: `make grind`.

exercise.py uses every public name of an unoptimised core (build/valgrind). What valgrind's memcheck
tells of that core fails: a read or write outside of a block or after its end, a decision on memory
that was never set (which the sanitizers do not see), and such memory handed to the system. What it
tells of the interpreter and its libraries alone is theirs and is left out. Needs valgrind and gcc.
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as Tree
from pathlib import Path

from instrumented import CORE, built, environment

PROGRAM = Path(__file__).parent / "exercise.py"


def ours(error: Tree.Element) -> bool:
    """Tell whether the core had a part in an error; leaks are tests/core/test_leaks.py's."""
    kind = error.findtext("kind") or ""
    files = [found.text or "" for found in error.iter("obj")]
    return not kind.startswith("Leak_") and (
        kind == "SyscallParam" or any(CORE in name for name in files)
    )


def told(error: Tree.Element) -> str:
    """Say an error in lines: what, and where."""
    what = error.findtext("what") or error.findtext("xwhat/text") or ""
    lines = [f"{error.findtext('kind')}: {what}"]
    for part in error:
        if part.tag == "auxwhat":
            lines.append(f"  {part.text}")
        for frame in list(part.iter("frame"))[:12] if part.tag == "stack" else []:
            place = f"{frame.findtext('file')}:{frame.findtext('line')}"
            lines.append(f"    {frame.findtext('fn')} ({place})")
    return "\n".join(lines)


def main() -> int:
    """Build, run, and tell what was reported."""
    folder = built("valgrind")
    found = folder / "found.xml"
    command = [
        "valgrind", "--xml=yes", f"--xml-file={found}",
        "--track-origins=yes", "--num-callers=30", sys.executable, "-P", str(PROGRAM),
    ]  # fmt: skip
    ran = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, check=False
    )
    if ran.returncode or str(folder) not in ran.stdout:
        sys.exit(f"valgrind could not run it:\n{ran.stdout}{ran.stderr}")
    errors = list(Tree.parse(found).getroot().iter("error"))
    reports = [told(each) for each in errors if ours(each)]
    print("\n\n".join(reports), end="")
    print(f"\ngrind: {ran.stdout.strip()}: {len(reports)} error(s) of the core, "
          f"{len(errors) - len(reports)} of the interpreter left out")
    return int(bool(reports))


if __name__ == "__main__":
    sys.exit(main())
