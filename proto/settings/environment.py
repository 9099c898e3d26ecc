"""Reading the settings from environment variables; a misspelled name is an error."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError

from proto.errors import ConfigurationError
from proto.settings.table import PREFIX, Settings

TOKEN_VARIABLE: Final = "PARTYLINE_TOKEN"
"""Where clients keep their token; the only variable with the prefix that is not a setting."""


def load_settings(**overrides: Any) -> Settings:
    """The settings from the environment, with ``overrides`` on top.

    Raises:
        ConfigurationError: a variable with the prefix is not a setting, a value is out of its
            bounds, or a combination of values is unsafe or impossible.
    """
    if unknown := unknown_variables(os.environ):
        raise ConfigurationError(f"settings: {'; '.join(unknown)}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            (f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" if e["loc"] else e["msg"])
            for e in error.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"settings: {problems}") from None


def unknown_variables(names: Iterable[str]) -> list[str]:
    """One sentence for each name that has the prefix but is not a setting.

    Args:
        names: of environment variables; case does not matter, as for settings.
    """
    known = {name.upper() for name in Settings.model_fields}
    known.add(TOKEN_VARIABLE.removeprefix(PREFIX))
    ours = (name for name in sorted(names) if name.upper().startswith(PREFIX))
    return [_unknown(name, known) for name in ours if name.upper()[len(PREFIX) :] not in known]


def _unknown(name: str, known: Iterable[str]) -> str:
    # Without the prefix, which would make any two names similar.
    nearest = get_close_matches(name.upper()[len(PREFIX) :], known, n=1)
    hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "docs/settings.md lists them"
    return f"{ascii(name)[1:-1]} is not a setting; {hint}"
