"""No leaks: after many uses a process holds as many blocks and bytes as after a few.

One process for each twin uses every public name in turn. The blocks of Python's allocator count
the references that are kept, and the resident set counts the core's other memory.
"""

import functools
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from every_name import CORE
from package_uses import PACKAGE

import gaistream
from gaistream.core import pure

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
    pytest.mark.skipif(
        bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        reason="without the GIL Python counts blocks in another way, on both twins",
    ),
]
TWINS = ["pure"] if os.environ.get("GAISTREAM_BACKEND") == "pure" else ["native", "pure"]
SUPPORT = Path(__file__).parents[1] / "support"
# values, a protocol, a setting, types; CORE has each event
NOT_USED = {"Outcome", "Provider", "Source", "SourceItem", "__version__", "backend", "events"}
NOT_USED |= {"blocking_threads", "json_library"}
TIMES = 600
LEAKS = {"a block": "kept.append([])", "memory": "kept.append(bytes(9000))"}
SCRIPT = """
import gc, json, sys
import gaistream as gs
from every_name import CORE
from package_uses import PACKAGE

kept = []

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def held(use, times):
    for _ in range(times):
        use(gs)
    gc.collect()
    return sys.getallocatedblocks(), resident()

def grown(use):
    held(use, 1000)  # caches of all kinds fill
    before = held(use, 1)
    after = held(use, int(sys.argv[1]))
    return after[0] - before[0], after[1] - before[1]

uses = {**CORE, **PACKAGE} if sys.argv[2] == "all" else {"": lambda gs: exec(sys.argv[2])}
found = {name: grown(use) for name, use in uses.items()}
print(json.dumps([gs.backend, found]))
"""


@functools.cache
def grown(twin, what="all"):
    """Return by how many blocks and bytes a process has grown in TIMES uses of each name."""
    path = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(TIMES), what], capture_output=True, text=True,
        timeout=600, check=False,
        env={**os.environ, "GAISTREAM_BACKEND": twin, "PYTHONHASHSEED": "0",
             "PYTHONPATH": os.pathsep.join(path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    backend, found = json.loads(ran.stdout)
    assert backend == twin
    return found


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("name", [*CORE, *PACKAGE])
def test_many_uses_hold_no_more_memory_than_a_few(name, twin):
    blocks, size = grown(twin)[name]
    assert blocks < TIMES / 2  # one block a use would be TIMES
    assert size < 2**20  # a few KB a use would be more


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_noticed(leak):
    blocks, size = grown(TWINS[0], LEAKS[leak])[""]
    assert blocks >= TIMES
    assert (size > 2**20) is (leak == "memory")


def test_no_public_name_is_left_out():
    assert set(CORE) == set(pure.__all__)
    assert set(gaistream.__all__) - NOT_USED <= set(CORE) | set(PACKAGE)
    assert set(gaistream.events.__all__) <= set(CORE)
