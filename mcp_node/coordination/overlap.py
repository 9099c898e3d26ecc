"""Whether two names of claims overlap: words, paths, and globs for paths.

A name is divided at ``/`` into segments. Within a segment ``*`` stands for any characters, and so
does ``?``, so that no pattern in which it means one character is missed. A segment ``**`` stands
for any number of segments, also none. Everything else stands for itself, brackets and braces too.

Two names overlap if there is a path that both cover. This is exact: both patterns are sequences
with one symbol for any run (``*`` among characters, ``**`` among segments), and `_meet` decides for
such sequences whether they have an instance in common. So words, which have neither ``/`` nor a
wildcard, overlap only if they are equal.

A name without wildcards may be a folder, so it also overlaps names that begin with it and ``/``:
``src/auth`` overlaps ``src/auth/login.py``. A folder as a pattern ends with ``/`` or ``/**``.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from proto.errors import InvalidInput

T = TypeVar("T")

RUN: Final = "**"
"""The segment that stands for any number of segments."""

MOST_SEGMENTS: Final = 32


def normalized(name: str) -> str:
    """A name without empty segments and ``.``; ``src/auth/`` becomes ``src/auth/**``.

    Raises:
        InvalidInput: it has a backslash, a segment ``..``, too many segments, or none.
    """
    if "\\" in name:
        raise InvalidInput("A path has / between its parts, not backslashes.")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidInput("A path is relative to the top folder, without ..")
    if parts and name.endswith("/") and parts[-1] != RUN:
        parts.append(RUN)
    if not 1 <= len(parts) <= MOST_SEGMENTS:
        raise InvalidInput(f"A path has 1 to {MOST_SEGMENTS} parts.")
    return "/".join(parts)


def overlap(one: str, other: str) -> bool:
    """Whether two normalized names overlap. Symmetric."""
    if one == other or _is_under(one, other) or _is_under(other, one):
        return True
    return _meet(_segments(one), _segments(other), RUN, _segments_overlap)


def _is_under(name: str, folder: str) -> bool:
    return name.startswith(f"{folder}/") and "*" not in folder and "?" not in folder


def _segments(name: str) -> list[str]:
    return [RUN if part == RUN else re.sub(r"[*?]+", "*", part) for part in name.split("/")]


def _segments_overlap(one: str, other: str) -> bool:
    if "*" in one or "*" in other:
        return _meet(one, other, "*", str.__eq__)
    return one == other


def _meet(one: Sequence[T], other: Sequence[T], run: T, fit: Callable[[T, T], bool]) -> bool:
    """Whether two patterns have an instance in common.

    If both have a run, only what is before the first and after the last run of each is fixed at an
    end. There the two must fit as far as both reach; then the runs of each can take in whatever
    the other has in between.

    Args:
        one: elements, some of which are ``run``.
        other: the same.
        run: stands for any number of any elements.
        fit: whether two other elements have an instance in common.
    """
    runs = [[at for at, each in enumerate(side) if each == run] for side in (one, other)]
    if all(runs):
        heads = zip(one[: runs[0][0]], other[: runs[1][0]], strict=False)
        tails = zip(one[: runs[0][-1] : -1], other[: runs[1][-1] : -1], strict=False)
        return all(fit(*pair) for pair in heads) and all(fit(*pair) for pair in tails)
    if runs[1]:
        one, other, runs = other, one, runs[::-1]
    if not runs[0]:
        return len(one) == len(other) and all(map(fit, one, other))
    return _covers(one, runs[0], other, fit)


def _covers(
    pattern: Sequence[T], runs: Sequence[int], fixed: Sequence[T], fit: Callable[[T, T], bool]
) -> bool:
    """Whether a pattern with runs meets one without: each part between runs as early as it fits."""
    head, tail = pattern[: runs[0]], pattern[runs[-1] + 1 :]
    start, end = len(head), len(fixed) - len(tail)
    if start > end:
        return False
    if not all(map(fit, head, fixed)) or not all(map(fit, tail, fixed[end:])):
        return False
    for before, after in pairwise(runs):
        part = pattern[before + 1 : after]
        while not all(map(fit, part, fixed[start : start + len(part)])):
            start += 1
            if start + len(part) > end:
                return False
        start += len(part)
        if start > end:
            return False
    return True
