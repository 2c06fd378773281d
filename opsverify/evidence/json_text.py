"""JSON text of a run's files: one entry of a list or table a line, for people and for `diff`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# With `indent`, Python encodes by its own code, five times slower: each of these encodes a whole entry in C.
_ENTRY: Final = json.JSONEncoder(ensure_ascii=False)
_FLAT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",\n    ", ": "))


def json_text(content: Mapping[str, Any]) -> str:
    """`content` as text: one field a line, and one line for each entry of a field that is a list or a table."""
    fields = ",\n".join(f"  {_ENTRY.encode(str(name))}: {_field(value)}" for name, value in content.items())
    return f"{{\n{fields}\n}}\n"


def _field(value: object) -> str:
    if isinstance(value, dict) and value:
        return f"{{\n    {_entries(value)}\n  }}"
    if isinstance(value, list | tuple) and value:
        lines = ",\n    ".join(map(_ENTRY.encode, value))
        return f"[\n    {lines}\n  ]"
    return _ENTRY.encode(value)


def _entries(table: Mapping[Any, Any]) -> str:
    if any(isinstance(value, dict | list | tuple) for value in table.values()):
        return ",\n    ".join(_ENTRY.encode({name: value})[1:-1] for name, value in table.items())
    return _FLAT.encode(table)[1:-1]
