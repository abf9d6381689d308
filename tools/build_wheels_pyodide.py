"""Test the pure wheel on Pyodide, which is CPython compiled to WebAssembly, in node.

`python tools/build_wheels_pyodide.py [PART ...]`: the parts of the suite that need neither threads
nor processes nor an event loop of their own, which is what Pyodide has not. node 18 or newer and
npm are needed; npm fetches Pyodide, and pip what the tests need, as wheels for any platform.
"""

from __future__ import annotations

import argparse
import shutil
import sys

from debian_root import need
from local import ROOT, WORK, build_sdist, check, run, run_tests, say, table
from test_wheel import files_of, tests_alone

FOLDER = WORK / "pyodide"
PARTS = ["core/buffer", "core/decoder*", "core/encoder", "core/encoder_frames", "core/events",
         "core/golden", "core/lines", "core/ndjson_decoder", "core/sse", "core/template",
         "dialects/gai", "writing/options"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of the suite")
    chosen = parser.parse_args()
    node, npm = need("node", "nodejs"), need("npm", "npm")
    shutil.rmtree(FOLDER, ignore_errors=True)
    sdist = build_sdist(FOLDER / "sdist")
    say("pure wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", FOLDER, sdist,
        GAISTREAM_BUILD="pure")
    (wheel,) = FOLDER.glob("*.whl")
    check(wheel)
    say("Pyodide, and what the tests need")
    run(npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", FOLDER, "pyodide@314")
    run(sys.executable, "-m", "pip", "install", "-q", "--target", FOLDER / "site", "--no-deps",
        wheel)
    run(sys.executable, "-m", "pip", "install", "-q", "--target", FOLDER / "site",
        "--only-binary=:all:", "--python-version=3.14", "--platform=any", "--implementation=py",
        "--abi=none", "hypothesis", "pytest")  # trio knows no such platform
    (FOLDER / "alone").mkdir()
    tests = tests_alone(FOLDER / "alone")
    files = sorted({f"tests/{file.relative_to(tests)}" for part in chosen.parts or PARTS
                    for file in files_of(tests, part)})
    shutil.copy(ROOT / "tools" / "pyodide.mjs", FOLDER)
    say(f"testing {wheel.name} on Pyodide")
    table([(wheel, run_tests(node, FOLDER / "pyodide.mjs", FOLDER, *files, cwd=FOLDER))])


if __name__ == "__main__":
    main()
