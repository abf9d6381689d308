"""The core's tests under AddressSanitizer and UndefinedBehaviorSanitizer: `make sanitize`.

The core is built with both (build/asan), and the tests that drive it run on that build: the twins
beside each other under hypothesis, the vectors at every cut, many threads. A read or write outside
of an object, a use after its end, an overflow or a bad shift ends the process with a report, which
is printed; then this fails, as it does where a test fails. Memory that is not given back is not
looked for here: tests/core/test_leaks.py counts it. Needs gcc.

--quick: a quarter of hypothesis's examples, and only tests that run the compiled twin.
"""

from __future__ import annotations

import subprocess
import sys

from instrumented import ROOT, built, check, environment

TESTS = (
    "core/test_buffer.py", "core/test_decoder*.py", "core/test_encoder*.py", "core/test_events.py",
    "core/test_golden.py", "core/test_json_depth.py", "core/test_lines.py",
    "core/test_long_text.py", "core/test_ndjson_decoder.py", "core/test_sse*.py",
    "core/test_stateful.py", "core/test_template.py", "core/test_threads*.py",
    "core/test_twins*.py", "writing/test_writer.py",
)  # fmt: skip


def library(name: str) -> str:
    """Give the path of one of gcc's runtime libraries."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def main(arguments: list[str]) -> int:
    """Build, test, and tell what was reported."""
    quick = "--quick" in arguments
    folder = built("asan")
    reports = folder / "report"
    for old in folder.glob("report.*"):
        old.unlink()
    env = environment(
        folder,
        LD_PRELOAD=f"{library('libasan.so')} {library('libubsan.so')}",
        ASAN_OPTIONS=f"detect_leaks=0:log_path={reports}",
        UBSAN_OPTIONS="print_stacktrace=1",
        GAISTREAM_EXAMPLES="0.25" if quick else "1",
    )
    check(folder, env)
    tests = sorted(str(path) for name in TESTS for path in (ROOT / "tests").glob(name))
    chosen = ["-s"]  # else a report that ends the process would end with it, in pytest's keeping
    chosen += ["-k", "not pure"] if quick else []
    chosen += [each for each in arguments if each != "--quick"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *chosen]
    failed = subprocess.run(command, env=env, cwd=folder, check=False).returncode
    found = [path.read_text(errors="replace") for path in folder.glob("report.*")]
    for each in found:
        print(each, file=sys.stderr)
    if found:
        print(f"sanitize: {len(found)} report(s)", file=sys.stderr)
    return int(bool(failed or found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
