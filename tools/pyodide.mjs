// Runs pytest on Pyodide: node pyodide.mjs FOLDER tests/test_a.py ...
// FOLDER holds site/, what is installed, and alone/, the tests; tools/build_wheels_pyodide.py
// makes both, and copies this file beside the Pyodide that npm has installed there.
import { loadPyodide } from "pyodide";

process.on("uncaughtException", (error) => { // node would print all of Pyodide's source with it
  console.error(String(error).slice(0, 2000));
  process.exit(1);
});
const [folder, ...files] = process.argv.slice(2);
const pyodide = await loadPyodide({ env: { GAISTREAM_BACKEND: "auto", HOME: "/tmp" } });
pyodide.mountNodeFS("/mnt", folder);
pyodide.globals.set("files", pyodide.toPy(files));
process.exitCode = pyodide.runPython(`
import os, sys, warnings
sys.path.insert(0, "/mnt/site")
sys.dont_write_bytecode = True
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import gaistream
assert [each.category for each in said] == [RuntimeWarning], said  # it is pure, and says so
assert (gaistream.backend, gaistream.json_library) == ("pure", "json")
print(f"gaistream {gaistream.__version__} on Python {sys.version.split()[0]}, {sys.platform}")
for name in [name for name in sys.modules if name.partition(".")[0] == "gaistream"]:
    del sys.modules[name]
os.environ["GAISTREAM_BACKEND"] = "pure"
os.chdir("/mnt/alone")
import pytest
int(pytest.main(["-q", "-p", "no:cacheprovider", *files]))
`);
