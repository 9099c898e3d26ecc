"""Permission checks do not stop root: run them as somebody whom they do stop."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from proto.errors import ConfigurationError

NOBODY = 65534


@contextmanager
def scratch_of_nobody() -> Iterator[Path]:
    """A directory that the user of `as_nobody` owns and can reach (pytest's own it cannot)."""
    with tempfile.TemporaryDirectory(prefix="partyline-test-", dir="/tmp") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def as_nobody(work: Callable[[], object]) -> str:
    """The text of the ConfigurationError that ``work`` raises for a user without rights, or ``""``.

    In a forked child if this is root, in this process if not.
    """
    if os.geteuid() != 0:
        return _outcome(work)
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_drop_rights_and_send, args=(work, sender.send))
    child.start()
    sender.close()
    try:
        return str(receiver.recv())
    finally:
        receiver.close()
        child.join()


def _drop_rights_and_send(work: Callable[[], object], send: Callable[[str], None]) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    send(_outcome(work))


def _outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except ConfigurationError as error:
        return str(error)
    return ""
