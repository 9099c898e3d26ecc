"""What holds for the repository as a whole: who imports whom, how long files are, the pages."""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.settings_page import page

ROOT = Path(__file__).resolve().parent.parent
ORDER = {
    "mcp_node": [
        ["mcp_node.log"],
        ["mcp_node.sessions", "mcp_node.bridge"],
        ["mcp_node.coordination"],
        ["mcp_node.inbox", "mcp_node.links", "mcp_node.memory", "mcp_node.search"],
        ["mcp_node.services", "mcp_node.storage", "mcp_node.transfer"],
        ["mcp_node.doors.mcp", "mcp_node.doors.rest", "mcp_node.commands"],
        ["mcp_node.app"],
        ["mcp_node.__main__"],
    ],
    "ws_node": [
        ["ws_node.rooms"],
        ["ws_node.log", "ws_node.intake"],
        ["ws_node.endpoints", "ws_node.page", "ws_node.presence"],
        ["ws_node.workers"],
        ["ws_node.metrics"],
        ["ws_node.app"],
        ["ws_node.__main__"],
    ],
}
"""Which folders of a node may import which: those of the levels before, never their neighbours."""

PACKAGES = ("proto", "serving", "mcp_node", "ws_node")
MAY_IMPORT = {
    "proto": {"proto"},
    "serving": {"proto", "serving"},
    "mcp_node": {"proto", "serving", "mcp_node"},
    "ws_node": {"proto", "serving", "ws_node"},
}
NEVER_IN_PROTO = {
    *("asyncio", "socket", "sqlite3", "ssl", "subprocess", "threading"),
    *("aiosqlite", "fastapi", "fastmcp", "httpx", "mcp", "starlette", "uvicorn", "uvloop"),
    *("websockets", "zmq"),
}
MAX_LINES = 500


def python_files() -> Iterator[Path]:
    for folder in (*PACKAGES, "tests", "bench"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


EVERY_MODULE = {module_name(f): f for f in python_files()}
MODULES = {module_name(f): f for f in python_files() if f.relative_to(ROOT).parts[0] in PACKAGES}


def imported(nodes: Iterator[ast.AST], module: str, *, is_package: bool) -> Iterator[str]:
    """Full names of what the import statements among ``nodes`` of a module may name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = module if is_package else module.rpartition(".")[0]
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*parts, *([source] if source else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def everywhere(tree: ast.Module) -> Iterator[ast.AST]:
    return ast.walk(tree)


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements outside of functions, those for the type checker among them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from at_import(node)


def imports_of(module: str, walk=everywhere) -> set[str]:
    file = MODULES[module]
    tree = ast.parse(file.read_text("utf-8"), str(file))
    return set(imported(walk(tree), module, is_package=file.name == "__init__.py"))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_import_only_the_packages_below_their_own(module):
    package = module.partition(".")[0]
    tops = {name.partition(".")[0] for name in imports_of(module)}
    assert tops & {*PACKAGES, "tests", "bench"} <= MAY_IMPORT[package]
    if package == "proto":
        assert not tops & NEVER_IN_PROTO


def folder_of(module: str) -> str:
    """The folder a module belongs to, the doors of mcp_node each for itself; or the module."""
    parts = module.split(".")
    depth = 3 if parts[:2] == ["mcp_node", "doors"] else 2
    return ".".join(parts[:depth])


def test_every_folder_has_its_place_in_the_order() -> None:
    nodes = {folder_of(m) for m in MODULES if m.partition(".")[0] in ("mcp_node", "ws_node")}
    placed = [folder for order in ORDER.values() for level in order for folder in level]
    assert sorted(placed) == sorted(nodes - {"mcp_node", "ws_node", "mcp_node.doors"})


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.partition(".")[0] in ORDER))
def test_folders_import_only_those_below(module: str) -> None:
    own = folder_of(module)
    order = ORDER[module.partition(".")[0]]
    below = {f for level in takewhile(lambda level: own not in level, order) for f in level}
    needed = {folder_of(name) for name in imports_of(module) if name in MODULES}
    here = {f for f in needed if f.count(".") and f.partition(".")[0] == module.partition(".")[0]}
    assert here - {own, "mcp_node.doors"} <= below


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_a_package_import_one_way(package):
    members = {name for name in MODULES if name.partition(".")[0] == package}
    graph = {
        module: {name for name in imports_of(module, at_import) if name in members} - {module}
        for module in members
    }
    # `from package.part import module` needs the part's __init__ first only if that has imports
    # of its own; an __init__ that imports its modules is an edge of the __init__, not of theirs.
    for module, needs in graph.items():
        needs -= {name for name in needs if module.startswith(f"{name}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports run in a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("file", list(python_files()), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_every_name_that_is_imported_exists(file: Path) -> None:
    """Benches and nightly tests are run seldom: a rename must not break them unseen."""
    tree = ast.parse(file.read_text("utf-8"))
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module
        if node.module.partition(".")[0] in (*PACKAGES, "tests", "bench")
        for alias in node.names
        if not exists(node.module, alias.name)
    ]
    assert missing == []


def exists(module: str, name: str) -> bool:
    """Whether a module of ours has a submodule, or at its top level a name, called so."""
    source = EVERY_MODULE.get(module)
    return f"{module}.{name}" in EVERY_MODULE or (source is not None and name in names_of(source))


@cache
def names_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in at_import(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.ClassDef | ast.Import | ast.ImportFrom):
            found |= {getattr(node, "name", "")} | {
                alias.asname or alias.name for alias in getattr(node, "names", [])
            }
    tree = ast.parse(file.read_text("utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return found | {node.name for node in tree.body if isinstance(node, functions)}


def test_the_walk_sees_every_form_of_import():
    source = """
import a.b
from c import d
from . import e
from .f import g
def later(): import h
if TYPE_CHECKING:
    import i
"""
    tree = ast.parse(source)
    found = set(imported(everywhere(tree), "p.q", is_package=False))
    assert found == {"a.b", "c", "c.d", "p", "p.e", "p.f", "p.f.g", "h", "i"}
    assert set(imported(at_import(tree), "p.q", is_package=False)) == found - {"h"}
    assert "p.q.e" in set(imported(everywhere(tree), "p.q", is_package=True))


def test_no_file_is_longer_than_500_lines():
    lengths = {str(f.relative_to(ROOT)): len(f.read_bytes().splitlines()) for f in python_files()}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_the_settings_page_is_the_table_of_settings():
    written = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert written == page(), "run `make docs`"


def test_every_entry_of_the_procfile_is_a_module_that_runs():
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    entries = [re.fullmatch(r"([a-z]+): exec python -m ([a-z_]+)", line) for line in lines]
    assert [entry and entry[1] for entry in entries] == ["mcp", "ws"]
    for entry in entries:
        assert entry and importlib.util.find_spec(f"{entry[2]}.__main__"), entry


def test_what_reaches_into_private_parts_is_pinned_and_the_lock_agrees():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = [need for need in project["dependencies"] if "==" in need]
    assert {pin.partition("==")[0] for pin in pins} == {"fastmcp", "mcp", "uvicorn", "websockets"}
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    for pin in pins:
        assert f"\n{pin} " in lock, "run `make lock`"


def test_the_lock_is_that_of_pyproject():
    """Whoever edits one and not the other hears of it here, and not on a fresh machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needs = project["dependencies"] + extras["dev"] + extras["cluster"]
    asked = {canonicalize_name(need.name): need for need in map(Requirement, needs)}
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*\n(?:    .*\n)*)", lock, re.MULTILINE)
    locked = {name: version for name, version, _ in entries}
    direct = {name for name, _, rest in entries if "partyline (pyproject.toml)" in rest}
    assert direct == set(asked), "run `make lock`"
    for name, need in asked.items():
        assert need.specifier.contains(locked[name], prereleases=True), f"{need}: run `make lock`"


def test_the_lock_names_no_machine_and_no_index():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    for foreign in ("://", "--find-links", "--index-url", "--extra-index-url", "file:", " @ "):
        assert foreign not in lock
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") > len(pinned)
