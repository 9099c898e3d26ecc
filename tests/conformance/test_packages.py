"""Installing the npm packages: once, whole or not at all, and plain words when it cannot be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.packages import HERE, CannotRun, install, new_enough, own_node, pinned

ROOT = HERE.parent.parent


@pytest.mark.parametrize(
    ("said", "enough"),
    [
        ("v22.19.0\n", True),
        ("v22.23.3", True),
        ("v26.1.0", True),
        ("v22.18.9", False),
        ("v20.20.2", False),
        ("", False),
        ("v22", False),
        ("node: not found", False),
    ],
)
def test_node_runs_the_packages_from_22_19(said: str, enough: bool) -> None:
    assert new_enough(said) is enough


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that programs are looked for in; it has a node and no npm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    program(folder, "node", "echo v22.19.0")
    return folder


def program(folder: Path, name: str, *lines: str) -> None:
    file = folder / name
    file.write_text("\n".join(["#!/bin/sh", "PATH=/bin:/usr/bin", *lines, ""]))
    file.chmod(0o755)


def test_missing_npm_is_named_in_the_error(bin: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="npm is not installed"):
        install(tmp_path / "cache")


@pytest.mark.parametrize("module", ["tests.conformance", "tests.conformance.clients"])
def test_a_run_without_npm_has_tested_nothing(bin: Path, tmp_path: Path, module: str) -> None:
    command = [sys.executable, "-m", module, "--cache", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert done.stderr == "conformance: npm is not installed (Debian, Ubuntu: apt install npm).\n"
    assert done.stdout == ""


def test_an_old_node_will_not_do(bin: Path) -> None:
    assert own_node() == bin / "node"
    program(bin, "node", "echo v20.20.2")
    assert own_node() is None
    (bin / "node").unlink()
    assert own_node() is None


def test_without_the_registry_nothing_is_left_half_installed(bin: Path, tmp_path: Path) -> None:
    program(bin, "npm", "mkdir node_modules", "echo 'npm error network' >&2", "exit 1")
    with pytest.raises(CannotRun, match="could not install the packages: npm error network"):
        install(tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_packages_are_installed_once(bin: Path, tmp_path: Path) -> None:
    program(bin, "npm", "test $1 = ci && mkdir node_modules && echo $@ > node_modules/options")
    packages = install(tmp_path / "cache")
    assert packages.node == bin / "node"
    options = (packages.folder / "node_modules/options").read_text()
    assert "--ignore-scripts" in options
    assert "--omit=optional" in options  # no second Node
    (bin / "npm").unlink()
    assert install(tmp_path / "cache") == packages


def test_two_at_once_do_not_harm_each_other(bin: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    program(bin, "npm", "mkdir node_modules")
    first = install(tmp_path / "elsewhere").folder.name
    program(bin, "npm", f"mkdir -p node_modules {cache}/{first}/node_modules/faster")
    packages = install(cache)
    assert os.listdir(packages.folder / "node_modules") == ["faster"]
    assert os.listdir(cache) == [first]


def test_the_pins_are_exact_and_the_lock_agrees() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    root = lock["packages"].pop("")
    assert root["dependencies"] | root["optionalDependencies"] == pinned()
    for name, version in pinned().items():
        assert re.search(r"(^|@)\d+\.\d+\.\d+(-[a-z]+\.\d+)?$", version), name
        assert lock["packages"][f"node_modules/{name}"]["version"] == version.rpartition("@")[2]
    for name, entry in lock["packages"].items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry  # the registry is the machine's
