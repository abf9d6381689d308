"""The twins, side by side in one run, and what every test may use.

`gs` is the whole package, once on the compiled core and once on the pure twin: two copies of
gaistream in one process, each with its own modules. A run that was to be native and is not fails
at once, for a suite that silently ran pure has tested the wrong thing.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loops import LOOPS, Run, watched_loop
from required import need_package
from suite import RoomReporter, encodable, names_its_twin

import gaistream

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell without job control ignores it in what it starts in the background, and all
    # processes that a test interrupts would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

WANTED = os.environ.get("GAISTREAM_BACKEND", "auto")
TWINS = ["pure"] if WANTED == "pure" else ["native", "pure"]
SUBMODULES = ["asgi", "dialects", "errors", "gateway", "http", "replay", "testing", "wsgi"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--after-native",
        action="store_true",
        help="leave out the tests that a run on the compiled core has already run on the pure twin",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None and config.option.verbose <= 0:
        config.pluginmanager.register(RoomReporter(terminal))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--after-native"):
        config.hook.pytest_deselected(items=list(filter(names_its_twin, items)))
        items[:] = itertools.filterfalse(names_its_twin, items)


def pytest_collection_finish() -> None:
    """Exempt what stands now from the garbage collector.

    Hundreds of tests collect garbage. With the modules and 10 000 collected tests in the heap that
    takes 0.2 s each time.
    """
    importlib.import_module("hypothesis")  # finds a frozen random generator's referrers no more
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape lone surrogates, which tests log on purpose and pytest-xdist cannot send."""
    return encodable((yield))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption(
        "--after-native"
    ):
        session.exitstatus = pytest.ExitCode.OK


def pytest_report_header() -> str:
    return f"gaistream: backend {gaistream.backend}, JSON by {gaistream.json_library}"


def pytest_sessionstart() -> None:
    expected = "pure" if WANTED == "pure" else "native"
    if gaistream.backend != expected:
        pytest.exit(f"the suite wants the {expected} backend and got {gaistream.backend}", 3)


def load_package(backend: str) -> ModuleType:
    """Import a copy of gaistream on this backend, beside the one that everybody shares."""
    if backend == gaistream.backend:
        return load_all()
    shared = {name: sys.modules.pop(name) for name in _loaded()}
    before = os.environ.get("GAISTREAM_BACKEND")
    os.environ["GAISTREAM_BACKEND"] = backend
    try:
        package = load_all()
    finally:
        if before is None:
            del os.environ["GAISTREAM_BACKEND"]
        else:
            os.environ["GAISTREAM_BACKEND"] = before
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(shared)
    assert package.backend == backend
    return package


def load_all() -> ModuleType:
    """Import the package whole: a name that waits for its first use would get the other copy's."""
    package = importlib.import_module("gaistream")
    for name in SUBMODULES:
        importlib.import_module(f"gaistream.{name}")
    for name in package.__all__:
        getattr(package, name)
    for room in (package.asgi, package.replay, package.wsgi):
        for name in room.__all__:
            with contextlib.suppress(ImportError):  # of an extra
                getattr(room, name)
    for name in package.dialects.__all__:
        getattr(package.dialects, name)
    for name in package.dialects.NAMES:
        dialect = package.dialects.find(name)
        for format in dialect.writes:
            dialect.writer(format)
        for format in dialect.reads:
            dialect.reader(format)
        if dialect.has_requests:
            with contextlib.suppress(ValueError):
                dialect.read_request(None)
    importlib.import_module("gaistream.streaming.disconnects").answer_classes()
    importlib.import_module("gaistream.asgi.protocol").kept_handler_class()
    library = package.core.json.library
    package.core.load_json_library = lambda: library  # type: ignore[attr-defined]
    package.core.install_json(package.core.load_json_library)
    return package


def _loaded() -> list[str]:
    return [name for name in sys.modules if name == "gaistream" or name.startswith("gaistream.")]


PACKAGES = {backend: load_package(backend) for backend in TWINS}


@pytest.fixture(params=TWINS)
def gs(request: pytest.FixtureRequest) -> ModuleType:
    """The package on one twin."""
    return PACKAGES[request.param]


@pytest.fixture
def both() -> list[ModuleType]:
    """The package on each twin that this run has."""
    return list(PACKAGES.values())


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with one certificate: all those of certifi take a client 80 ms to load."""
    need_package("certifi")
    import certifi

    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    end = "-----END CERTIFICATE-----"
    file.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end)
    return str(file)


@pytest.fixture(params=["httpx", "httpx2"])
def http_library(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, one_certificate: str
) -> ModuleType:
    """The module httpx or httpx2, while it is the only one of the two that can be imported."""
    need_package(request.param)
    monkeypatch.setenv("SSL_CERT_FILE", one_certificate)
    library = importlib.import_module(request.param)
    for other in {"httpx", "httpx2"} - {request.param}:
        monkeypatch.setitem(sys.modules, other, None)
    return library


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine on each kind of event loop; it must leave nothing there."""
    with watched_loop(request.param) as run:
        yield run
