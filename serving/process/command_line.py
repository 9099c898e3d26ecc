"""How to type the command line of this installation, so that a shown command can be copied."""

import shlex
import sys
from pathlib import Path

from proto.settings import Settings


def installed_program() -> Path:
    """The script ``partyline`` beside this interpreter, or the module where there is none."""
    script = Path(sys.executable).with_name("partyline")
    return script if script.exists() else Path("cli.py")


def as_typed(settings: Settings, program: Path) -> str:
    """The command as it works in any directory, shell or crontab: with absolute paths.

    Args:
        settings: the command must use their data directory.
        program: the script, or the module's file when it was started with ``python -m``.
    """
    words = [str(program.absolute())]
    if program.suffix == ".py":
        words = [sys.executable, "-m", "mcp_node.commands.cli"]
    usual = Settings.model_fields["data_dir"].get_default(call_default_factory=True)
    if settings.data_dir != usual:
        words = ["env", f"PARTYLINE_DATA_DIR={settings.data_dir}", *words]
    return shlex.join(words)
