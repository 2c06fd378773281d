"""Anchored paths of a target: those written relative to its file, independent of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from opsverify.config.database import SecretRef

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS: Final = (
    "base_backup", "wal_archive", "dr_wal_archive", "ledger", "scratch", "archive", "sha256", "globals", "config",
    "log", "folder", "ca_file", "client_cert", "client_key", "public_key", "record", "service_file",
    "calendar", "leave", "trusted_keys", "declared",
)  # fmt: skip
"""Keys that are paths relative to the target file, in whichever table they stand."""
_PATHS: Final = frozenset(PATHS)

PATTERNS: Final = ("validations",)
"""Keys that list patterns of paths relative to the target file."""

S = TypeVar("S", bound=BaseModel)


def anchored(section: S, folder: Path) -> S:
    """Make the paths of `section` that are written relative to `folder` absolute, in every table."""

    def absolute(path: str) -> str:
        return str((folder / Path(path).expanduser()).resolve())

    return _table(section, absolute)


def _table(section: S, absolute: Callable[[str], str]) -> S:
    if isinstance(section, SecretRef):
        return section
    changes: dict[str, Any] = {}
    # A target may have thousands of tables, most of whose fields are texts and numbers: these are told apart first.
    for name, value in vars(section).items():
        if isinstance(value, str):
            if name in _PATHS:
                changes[name] = absolute(value)
        elif value is not None and not isinstance(value, int | float):
            changed = _value(name, value, absolute)
            if changed is not value:
                changes[name] = changed
    return section.model_copy(update=changes) if changes else section


def _value(name: str, value: Any, absolute: Callable[[str], str]) -> Any:  # noqa: ANN401 - any field
    if isinstance(value, str):
        return absolute(value) if name in _PATHS else value
    if isinstance(value, BaseModel):
        return _table(value, absolute)
    if isinstance(value, tuple) and name in PATTERNS:
        return tuple(map(absolute, value))
    if isinstance(value, tuple):
        return tuple(_value(name, item, absolute) for item in value)
    if isinstance(value, dict):
        return {key: _value("", item, absolute) for key, item in value.items()}
    return value
