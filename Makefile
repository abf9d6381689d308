# Every target does its own set-up in .venv and says what it does; a second run starts in seconds.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
BUILD_FILES := pyproject.toml setup.py $(wildcard src/*.pyx src/*.pxi src/*.h)
COMMITS ?= 3
JOBS ?= auto
PYTEST := $(BIN)/pytest -q -n $(JOBS) --dist loadfile
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check clients dropin free-threaded lint bench bench-server kills exits memory \
	logs gates \
	sanitize asv wheels wheels-new wheels-aarch64 wheels-pyodide docs grind fuzz watch peers pins \
	clean

help:
	@echo "make demo            the chat page, answered from the handbook: no key, no network"
	@echo "make test            the product, on both twins (minutes); JOBS=4: in four processes"
	@echo "make check           the release: packaging, workflows, peers, documentation (minutes)"
	@echo "make clients         the vendors' own clients against servers of ours (npm)"
	@echo "make dropin          other projects' tests and servers on the stand-ins, as pip installs them"
	@echo "make lint            ruff and mypy"
	@echo "make docs            the documentation site, into build/site, and what must be true of it"
	@echo "make peers           gaistream and its peers in one run (minutes)"
	@echo "make bench           functions, called as a program calls them, under pytest-benchmark"
	@echo "make bench-server    what a server spends on an event, beside its peers' (minutes)"
	@echo "make kills           clients that leave at random, on real servers: is anything left? (minutes)"
	@echo "make exits           seconds from a signal until a server has exited (minutes)"
	@echo "make memory          what streams hold: memory read ahead, threads, garbage"
	@echo "make free-threaded   the core and its threads on a Python without the GIL"
	@echo "make logs            what logs of kept streams cost, and how that grows"
	@echo "make asv             the benchmarks over the last commits, as pages to open (minutes)"
	@echo "make gates           instructions a call, beside the commit before (valgrind, gcc)"
	@echo "make sanitize        the core's tests under ASan and UBSan (gcc)"
	@echo "make grind           every public name of the core under valgrind (valgrind, gcc)"
	@echo "make fuzz            the instrumented core beside its twin, for minutes (clang)"
	@echo "make watch           the four above, short and two at a time: as CI does"
	@echo "make wheels          an sdist in dist/, wheels from it for 3.11 to 3.13 and a pure one, each"
	@echo "                     tested in a fresh environment; ARGS=all: by the whole suite"
	@echo "make wheels-new      the same for 3.14 and 3.15, in a Debian of their own (as root)"
	@echo "make wheels-aarch64  cross-compiled by zig, tested under qemu (as root)"
	@echo "make wheels-pyodide  the pure wheel on WebAssembly (node, npm)"
	@echo "make pins            the newest programs that build a release, pinned by their hashes"
	@echo "make clean           remove everything that was built"

demo: .venv/demo.stamp
	@$(BIN)/gaistream demo $(ARGS)

test: .venv/test.stamp
	@echo "Testing: the compiled core and its pure twin, side by side ..."
	@GAISTREAM_BACKEND=native $(PYTEST) --ignore=tests/release --ignore=tests/clients $(ARGS)
	@echo "Testing: the pure twin, chosen by GAISTREAM_BACKEND ..."
	@GAISTREAM_BACKEND=pure $(PYTEST) -p no:cacheprovider --ignore=tests/release \
		--ignore=tests/clients --after-native $(ARGS)

check: .venv/check.stamp
	@echo "Checking: packaging, workflows, peers and the documentation ..."
	@GAISTREAM_BACKEND=native $(PYTEST) -p no:cacheprovider tests/release $(ARGS)
	@echo "Checking: the documentation's programs on the pure twin ..."
	@GAISTREAM_BACKEND=pure $(PYTEST) -p no:cacheprovider --after-native tests/release $(ARGS)
	@$(BIN)/python tools/prose.py

clients: .venv/clients.stamp
	@echo "Testing: the clients of OpenAI, Anthropic, Google, Ollama, Vercel, LiteLLM and Pydantic AI, unmodified ..."
	@GAISTREAM_BACKEND=native $(PYTEST) -p no:cacheprovider \
	    tests/clients tests/message tests/providers/test_bodies.py $(ARGS)

dropin: .venv/made.stamp
	@echo "Testing: other projects' tests and servers on gaistream, in build/dropin ..."
	@$(BIN)/python tests/dropin/run.py $(ARGS)

free-threaded: .venv/made.stamp
	@echo "Testing: a Python without the GIL, built into ~/.cache/gaistream ..."
	@$(BIN)/python tools/free_threaded.py

lint: .venv/lint.stamp
	@echo "Linting: ruff, then mypy --strict ..."
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: .venv/docs.stamp
	@echo "Building: the documentation site, in build/site ..."
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "Checking: the site that was built ..."
	@GAISTREAM_BACKEND=native $(BIN)/pytest -q -p no:cacheprovider tests/site/check_*.py $(ARGS)

bench: .venv/bench.stamp
	@echo "Measuring: each case beside its peers, in one run; compare within a group ..."
	@GAISTREAM_BACKEND=native $(BIN)/pytest -q tests/bench/bench_*.py --benchmark-only \
		--benchmark-group-by=group --benchmark-columns=min,median,ops --benchmark-sort=min $(ARGS)

peers: .venv/bench.stamp
	@echo "Measuring: gaistream and its peers, as the README tells of them, in one run (minutes) ..."
	@GAISTREAM_BACKEND=native $(BIN)/python benchmarks/peers.py $(ARGS)

bench-server: .venv/bench.stamp
	@echo "Measuring: servers under load, in one run; compare within a table ..."
	@GAISTREAM_BACKEND=native $(BIN)/python benchmarks/server.py $(ARGS)

kills exits memory logs: .venv/test.stamp
	@echo "Measuring: benchmarks/$@.py ..."
	@GAISTREAM_BACKEND=native $(BIN)/python benchmarks/$@.py $(ARGS)

gates: .venv/test.stamp
	@echo "Counting: instructions of the hot paths, beside another commit's ..."
	@$(BIN)/python benchmarks/gates.py $(ARGS)

sanitize: .venv/test.stamp
	@echo "Sanitizing: the core's tests under ASan and UBSan ..."
	@PYTHONPATH=tests/support $(BIN)/python tests/memory/sanitize.py $(ARGS)

asv: .venv/check.stamp
	@echo "Measuring: the last $(COMMITS) commits, each built in a virtual environment of its own ..."
	@$(BIN)/asv machine --yes >/dev/null
	@$(BIN)/asv run --skip-existing-commits $(ARGS) "HEAD -$(COMMITS)"
	@$(BIN)/asv publish --no-pull
	@$(BIN)/python benchmarks/offline.py build/asv/html

wheels: .venv/check.stamp
	@$(BIN)/python tools/build_wheels.py $(ARGS)

wheels-new wheels-aarch64 wheels-pyodide: .venv/check.stamp
	@$(BIN)/python tools/build_$(subst -,_,$@).py $(ARGS)

grind: .venv/test.stamp
	@echo "Grinding: every public name of the core under valgrind ..."
	@PYTHONPATH=tests/support $(BIN)/python tests/memory/grind.py $(ARGS)

fuzz: .venv/fuzz.stamp
	@echo "Fuzzing: the instrumented core beside its pure twin ..."
	@PYTHONPATH=tests/support $(BIN)/python tests/fuzz/run.py $(ARGS)

watch: .venv/fuzz.stamp
	@echo "Watching the core: gates, sanitize, grind and fuzz, short ..."
	@$(MAKE) --no-print-directory -j2 -O sanitize fuzz gates grind ARGS=--quick

.venv/made.stamp:
	@echo "Setting up: a virtual environment in .venv ($(PYTHON)) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gaistream needs Python 3.11 or newer: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "python3-venv is needed (Debian: apt-get install python3-venv)"; exit 1; }
	@$(BIN)/pip install -q --upgrade pip
	@touch $@

.venv/demo.stamp: .venv/made.stamp $(BUILD_FILES)
	@echo "Setting up: building gaistream and installing what the demo needs ..."
	@PYTHONWARNINGS=ignore:Editable $(BIN)/pip install -q -e '.[demo]'
	@touch $@

.venv/test.stamp: .venv/made.stamp $(BUILD_FILES)
	@echo "Setting up: building gaistream's core and installing what the tests need ..."
	@PYTHONWARNINGS=ignore:Editable GAISTREAM_BUILD=native \
		$(BIN)/pip install -q -e '.[cli,demo]' --group test
	@touch $@ .venv/demo.stamp

.venv/check.stamp: .venv/test.stamp
	@echo "Setting up: what builds and checks a release ..."
	@$(BIN)/pip install -q --group check
	@touch $@

.venv/clients.stamp: .venv/test.stamp
	@echo "Setting up: the vendors' clients ..."
	@$(BIN)/pip install -q --group clients
	@touch $@

.venv/lint.stamp: .venv/check.stamp
	@echo "Setting up: ruff and mypy ..."
	@$(BIN)/pip install -q --group lint
	@touch $@

.venv/docs.stamp: .venv/test.stamp
	@echo "Setting up: what builds the documentation site ..."
	@$(BIN)/pip install -q --group docs
	@touch $@

.venv/bench.stamp: .venv/check.stamp
	@echo "Setting up: the peers to measure beside ..."
	@$(BIN)/pip install -q --group bench
	@touch $@

.venv/fuzz.stamp: .venv/test.stamp
	@echo "Setting up: atheris ..."
	@$(BIN)/pip install -q --group fuzz
	@touch $@

pins: .venv/made.stamp
	@echo "Pinning: the newest programs that build and check a release, by their hashes ..."
	@$(BIN)/pip install -q --group pins
	@for name in build cibuildwheel twine; do $(BIN)/uv pip compile -q --upgrade --universal \
		--generate-hashes --python-version 3.11 --custom-compile-command "make pins" \
		tools/pinned/$$name.in -o tools/pinned/$$name.txt || exit 1; done

clean:
	@rm -rf .venv build dist *.egg-info src/core.c gaistream/core/_core*.so
