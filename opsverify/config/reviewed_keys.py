"""Reviewed keys: the secrets that a target names, and those that it declares in `[keys]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from opsverify.config.database import SecretRef

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from opsverify.config.model import Target


@dataclass(frozen=True)
class ReviewedKey:
    """One key by its name; a secret of the target has the name of its key in the target file."""

    name: str
    secret: SecretRef | None
    rotated_at: dt.date | None = None

    def __str__(self) -> str:
        return self.name


def reviewed_keys(target: Target) -> tuple[ReviewedKey, ...]:
    """Every key, each secret once; one without a secret is named by no other table: a name that is misspelt."""
    found: dict[str, ReviewedKey] = {}
    seen: dict[SecretRef, str] = {}
    for name, secret in _named(target, ""):
        if seen.setdefault(secret, name) == name:
            rule = target.keys.get(name)
            found[name] = ReviewedKey(name, secret, rule.rotated_at if rule else None)
    for name, rule in target.keys.items():
        if name not in found:
            found[name] = ReviewedKey(name, rule.secret, rule.rotated_at)
    return tuple(found.values())


def _named(section: BaseModel, prefix: str) -> Iterator[tuple[str, SecretRef]]:
    """Every secret below a table, with the name of its key."""
    for field in type(section).model_fields:
        if not prefix and field == "keys":
            continue
        value = getattr(section, field)
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple) else ()
        yield from _one(value, f"{prefix}{field}")
        for key, item in items:
            yield from _one(item, f"{prefix}{field}.{key}")


def _one(value: object, name: str) -> Iterator[tuple[str, SecretRef]]:
    if isinstance(value, SecretRef):
        yield name, value
    elif isinstance(value, BaseModel):
        yield from _named(value, f"{name}.")
