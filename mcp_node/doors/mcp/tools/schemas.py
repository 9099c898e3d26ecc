"""Input schemas as agents read them: what pydantic's say, in fewer characters."""

from typing import Any, Final

_NULL: Final = {"type": "null"}


def brief(schema: dict[str, Any]) -> dict[str, Any]:
    """An input schema without what an agent does not need to call the tool.

    An optional argument is one that is not required: its null and its default of null are left
    out (the tool accepts null all the same). So are integer beside number, and the statement that
    an object may have any properties.

    Args:
        schema: a schema by pydantic, without references.
    """
    shown = dict(schema)
    if "properties" in shown:
        shown["properties"] = {name: brief(one) for name, one in shown["properties"].items()}
    if "items" in shown:
        shown["items"] = brief(shown["items"])
    if shown.get("additionalProperties") is True:
        del shown["additionalProperties"]
    kinds = [brief(kind) for kind in shown.pop("anyOf", ())]
    if shown.get("default", ...) is None:
        del shown["default"]
        kinds = [kind for kind in kinds if kind != _NULL]
    if {"type": "number"} in kinds:
        kinds = [kind for kind in kinds if kind != {"type": "integer"}]
    if len(kinds) == 1:
        return kinds[0] | shown
    return {"anyOf": kinds} | shown if kinds else shown
