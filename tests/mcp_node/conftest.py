"""What the tests of mcp_node share: an open database, and the command line."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mcp_node.commands.cli import main
from mcp_node.log.interface import Database
from tests.mcp_node import storing
from tests.mcp_node.making import new_session, opened


class Done(NamedTuple):
    """What a command left: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    """An open store with the session ``room``."""
    async with opened(tmp_path) as store:
        await storing.create_session(store, new_session())
        yield store


@pytest.fixture
def partyline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command in this process, which saves half a second: arguments, then variables.

    Its data directory is ``data`` in the test's own directory.
    """

    def run(*arguments: str, **environment: str) -> Done:
        capsys.readouterr()
        mask = os.umask(0o022)  # the command sets its own
        with monkeypatch.context() as patch:
            for name, value in {
                "PARTYLINE_DATA_DIR": str(tmp_path / "data"),
                **environment,
            }.items():
                patch.setenv(name, value)
            try:
                code = main(arguments)
            except SystemExit as left:
                code = int(left.code or 0)
            finally:
                os.umask(mask)
        return Done(code, *capsys.readouterr())

    return run
