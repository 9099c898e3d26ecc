"""Overlap of names: against examples, and against a search over all short paths."""

import re
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcp_node.coordination.overlap import normalized, overlap
from proto.errors import InvalidInput

PATHS = [
    "/".join(parts)
    for depth in range(1, 5)
    for parts in product(["a", "b", "ab", "ba", "aa", "aba"], repeat=depth)
]
"""Every path of up to four of these parts."""


def covers(name: str, path: str) -> bool:
    """Whether a name covers a path, by a regular expression made from it."""
    parts = name.split("/")
    pattern = ""
    for part in parts:
        if part == "**":
            pattern += "(?:/[^/]+)*"
        else:
            inside = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]*")
            pattern += "/(?=[^/])" + inside
    return re.fullmatch(pattern, f"/{path}") is not None


names = st.lists(
    st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*a", "a*a", "*b*", "?", "a?", "b*a"]),
    min_size=1,
    max_size=3,
).map("/".join)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("deploy", "deploy"),
        ("src/auth/**", "src/auth/login.py"),
        ("src/auth/**", "src/*/login.py"),
        ("src/auth/**", "src/auth"),
        ("src/auth/", "src/auth/login.py"),
        ("src/auth", "src/auth/login.py"),
        ("src/*", "src/auth"),
        ("**", "deploy"),
        ("**/test_*.py", "tests/**"),
        ("**/test_*.py", "tests/**/*_rows.py"),
        ("src/*.py", "src/l*"),
        ("./src//a.py", "src/a.py"),
        ("/src/a.py", "src/a.py"),
        ("pages/[id].tsx", "pages/*"),
        ("a?c", "abc"),
        ("a/**/b/**/c", "**/b/c"),
    ],
)
def test_these_overlap(one: str, other: str) -> None:
    assert overlap(normalized(one), normalized(other))
    assert overlap(normalized(other), normalized(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("deploy", "deploy2"),
        ("deploy", "Deploy"),
        ("deploy", "release"),
        ("src/auth/**", "src/auth2/login.py"),
        ("src/auth/**", "src/b"),
        ("src/*", "src/auth/login.py"),
        ("src/*.py", "src/*.js"),
        ("src/a*", "src/b*"),
        ("**/a.py", "src/**/b.py"),
        ("pages/[id].tsx", "pages/i.tsx"),
        ("a/*/c", "a/c"),
        ("a*a", "a"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    assert not overlap(normalized(one), normalized(other))
    assert not overlap(normalized(other), normalized(one))


@given(names, names)
@example("a*a", "a")
@example("**/a", "a/**")
@example("a/**/a", "a")
def test_overlap_is_that_some_path_is_covered_by_both(one: str, other: str) -> None:
    """Every path of up to four parts is tried."""
    assert overlap(one, other) == overlap(other, one)
    if any(covers(one, path) and covers(other, path) for path in PATHS):
        assert overlap(one, other)
    elif len([part for part in f"{one}/{other}".split("/") if part != "**"]) <= 4:
        folder, under = sorted((one, other), key=len)
        may_be_folder = not {"*", "?"} & set(folder)
        assert overlap(one, other) == (may_be_folder and under.startswith(f"{folder}/"))


@given(names)
def test_a_name_overlaps_itself(name: str) -> None:
    assert overlap(name, name)
    assert normalized(name) == name


@given(st.text("ab", min_size=1), st.text("ab", min_size=1))
def test_words_overlap_only_if_equal(one: str, other: str) -> None:
    assert overlap(one, other) == (one == other)


@pytest.mark.parametrize("name", ["", "/", "./.", "a/../b", "..", "a\\b", "/".join("a" * 33)])
def test_these_are_no_names(name: str) -> None:
    with pytest.raises(InvalidInput):
        normalized(name)
