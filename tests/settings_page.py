"""Prints docs/settings.md from the table of settings: ``make docs`` writes it."""

import types
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from proto.settings import Settings

_HEAD: Final = """\
# Settings

Both nodes and the command line read their settings from environment variables. They refuse to
start (exit code 2) if a value is out of its bounds or would make the node unsafe, or if a variable
begins with `PARTYLINE_` and is not on this page. (Kubernetes adds such variables for a service
named partyline: set `enableServiceLinks: false`.) The parts of a list are separated by commas.
This page is written by `make docs` from `proto/settings/`.

`PARTYLINE_TOKEN` is not a setting: it holds a client's token, for `.venv/bin/partyline watch` and
the programs of agents.
"""
_TABLE: Final = """
## {}

| name | default | values | description |
|---|---|---|---|
"""
_COMPUTED: Final = {
    "data_dir": "the user's data directory (Linux: `~/.local/share/partyline`)",
}


def page() -> str:
    """The whole page: a table for each theme."""
    themes = (theme for theme in Settings.__bases__ if theme is not BaseSettings)
    return _HEAD + "".join(map(_table, themes))


def _table(theme: type[BaseModel]) -> str:
    prefix = Settings.model_config.get("env_prefix", "")
    heading = (theme.__doc__ or "").removesuffix(".")
    return _TABLE.format(heading) + "".join(
        f"| `{prefix}{name.upper()}` | {_default(name, field)} | {_values(field)}"
        f" | {field.description} |\n"
        for name, field in theme.model_fields.items()
    )


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return _COMPUTED[name]
    default = field.default
    if default is None:
        return "unset"
    if default in ("", ()):
        return "empty"
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _values(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is types.UnionType:
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if kind is bool:
        return "`true`, `false`"
    if kind in (int, float):
        return _bounds(field)
    if get_origin(kind) is tuple:
        return "list"
    return "secret" if kind is SecretStr else "path" if kind.__name__ == "Path" else "text"


def _bounds(field: FieldInfo) -> str:
    least = next((rule.ge for rule in field.metadata if hasattr(rule, "ge")), None)
    most = next((rule.le for rule in field.metadata if hasattr(rule, "le")), None)
    if least is None:
        return "any number"
    return f"{least} to {most}" if most is not None else f"{least} or more"


if __name__ == "__main__":
    print(page(), end="")
