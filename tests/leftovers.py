"""What a test run must not leave behind: processes, and warnings that fail a later test.

Each worker marks its environment. Whatever it starts inherits the mark, so that it is found even
when its parent is gone.
"""

import contextlib
import gc
import os
import sys
import uuid
import warnings

import psutil

MARK = "TEST_RUN"
"""The environment variable that marks the processes of a run."""

GONE_SECONDS = 30.0
"""How long processes that were told to end may take."""


def begin(worker: str | None) -> None:
    """Mark this process's environment; a worker's mark begins with that of its run."""
    if worker is None:
        os.environ[MARK] = uuid.uuid4().hex
    else:
        os.environ[MARK] += f"-{worker}"


def end() -> list[str]:
    """Kill every process that this one, or a worker of it, started and left; say which.

    Processes that are ending are given `GONE_SECONDS`.
    """
    _, left = psutil.wait_procs(_started(), GONE_SECONDS)
    named = []
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            named.append(f"{process.pid} {' '.join(process.cmdline()) or process.name()}")
            process.kill()
    return named


def _started() -> list[psutil.Process]:
    """The processes that inherited the mark, and this one's descendants, marked or not."""
    me = psutil.Process()
    found = set(me.children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it is gone, or another user's
            if process.environ().get(MARK, "").startswith(os.environ[MARK]):
                found.add(process)
    return [one for one in found - {me} if _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def discard() -> None:
    """Collect what a failed test left, without the warnings of what it did not close.

    Its traceback would keep sockets and processes alive until a later test, which would then fail
    of their warnings.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings(action="ignore"):
            gc.collect()
    finally:
        sys.unraisablehook = hook
