"""The rules for JavaScript that oxlint has no rule for: line length, unused exports."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "ws_node" / "static"
TESTS = ROOT / "tests" / "page"
ENTRY = STATIC / "partyline.js"
"""What others import: docs/javascript.md."""
ORDER = ["net", "model", "ui", "markdown", "views", "app"]
"""Folders of ``static/app``; each imports from itself and from those before it."""
MAX_COLUMNS = 100
MAX_LINES = 500

SOURCES = sorted(STATIC.rglob("*.js"))
FILES = [*SOURCES, *sorted(TESTS.rglob("*.js"))]

_EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)"', re.MULTILINE)


def exports(source: str) -> set[str]:
    return set(_EXPORT.findall(source))


def imports(file: Path, source: str) -> Iterator[tuple[Path, str]]:
    """File and name of everything that is imported from files of ours."""
    for names, where in _IMPORT.findall(source):
        target = (file.parent / where).resolve()
        yield from ((target, name.split()[0]) for name in names.split(",") if name.strip())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_files_and_lines_of_javascript_are_short(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    assert [n for n, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS] == []


def test_every_export_of_the_page_is_imported() -> None:
    used = {pair for file in FILES for pair in imports(file, file.read_text("utf-8"))}
    exported = {
        (file, name)
        for file in SOURCES
        if file != ENTRY
        for name in exports(file.read_text("utf-8"))
    }
    assert exported
    assert {f"{file.relative_to(ROOT)}: {name}" for file, name in exported - used} == set()


def test_modules_are_imported_name_by_name() -> None:
    """Other forms would hide from the test of exports."""
    for file in FILES:
        source = file.read_text("utf-8")
        assert not re.search(r"^import \*|^export (default|\*|\{)|\bimport\(\"\.", source, re.M), (
            file
        )


def test_the_test_of_exports_sees_them() -> None:
    source = "export const A = 1;\nexport async function* b() {}\nexport class C {}\nconst d = 1;\n"
    assert exports(source) == {"A", "b", "C"}
    source = 'import { a, b as c } from "./x.js";\nimport {\n  d,\n} from "../y.js";\n'
    here = Path("/app/z.js")
    expected = {(Path("/app/x.js"), "a"), (Path("/app/x.js"), "b"), (Path("/y.js"), "d")}
    assert set(imports(here, source)) == expected


@pytest.mark.parametrize(
    "file",
    [file for file in SOURCES if file.is_relative_to(STATIC / "app")],
    ids=lambda f: f.relative_to(STATIC).as_posix(),
)
def test_folders_of_the_page_import_only_those_before(file: Path) -> None:
    place = ORDER.index(file.parent.name)
    targets = {target for target, _ in imports(file, file.read_text("utf-8"))}
    inside = {target.parent.name for target in targets if target.is_relative_to(STATIC / "app")}
    assert inside <= set(ORDER[: place + 1])
