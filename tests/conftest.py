"""What all tests share."""

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import forkserver, leftovers, postgres
from tests.node_process import reserved_port

# Without .pyc files, which images of Python often forbid, each of the hundreds of processes that
# tests start would compile everything it imports: several seconds of a core instead of one.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Property tests are about values, not speed: a busy machine must not fail them.
settings.register_profile("partyline", deadline=None, max_examples=50)
# What decides whether a change lands must not find by chance what the change has no part in.
settings.register_profile("ci", settings.get_profile("partyline"), derandomize=True, database=None)
# Nightly, `make test-all`: other examples each time, and many.
settings.register_profile("many", settings.get_profile("partyline"), max_examples=1000)
settings.load_profile("partyline")

HERE = Path(__file__).resolve().parent
NIGHTLY = frozenset({"bench", "chaos", "conformance", "runs"})
"""Folders of `make test-all`: benches, long runs, and harnesses' tests of themselves."""
SLOWEST = ("browser", "integration", "security", "links", "fuzz")

_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the nightly folders, too")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the nightly folders out, unless they are wanted or named."""
    if collection_path.parent != HERE or collection_path.name not in NIGHTLY:
        return None
    named = (config.invocation_params.dir / name.split("::")[0] for name in config.args)
    wanted = any(path.resolve().is_relative_to(collection_path) for path in named)
    return None if wanted or config.getoption("all") else True


def pytest_configure(config: pytest.Config) -> None:
    leftovers.begin(config.workerinput["workerid"] if _is_worker(config) else None)
    forkserver.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Keep a folder's tests together, after pytest-randomly has shuffled their files.

    What they share is then ended with the last of them. The slowest folders come first, so that
    no worker has one of their files left when the others have nothing to do any more.
    """
    yield
    folders = {folder: place for place, folder in enumerate(SLOWEST)}
    for item in items:
        folders.setdefault(_folder(item), len(folders))
    items.sort(key=lambda item: folders[_folder(item)])


def _folder(item: pytest.Item) -> str:
    inside = item.path.is_relative_to(HERE)  # tests/runs has tests elsewhere
    return item.path.relative_to(HERE).parts[0] if inside else ""


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> None:
    """Skip what is SQLite's own where the stores are PostgreSQL's."""
    if postgres.wanted() and request.node.get_closest_marker("sqlite"):
        pytest.skip("this is about SQLite")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail if a process still runs when every other fixture of this worker has ended."""
    yield
    forkserver.close()
    postgres.end()
    left = leftovers.end()
    assert left == [], "processes were left running"


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens while the test runs, unless the test itself does."""
    with reserved_port() as number:
        yield number


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Fail the run if a worker that died has left processes."""
    yield
    if not _is_worker(session.config) and (left := leftovers.end()):
        print("\nprocesses were left running:", *left, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let no warning of a failed test fail the next one."""
    answer = yield
    if item.stash.get(_failed, False):
        leftovers.discard()
    return answer
