"""Digest of a resolved target: one for each key, so that a difference can be named; never a secret's value."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import BaseModel

from opsverify.config.database import SecretRef
from opsverify.config.load import PATHS, PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.config.model import Target

PER_RUN = frozenset({"actions.rolled_back_at"})
"""Keys that a run's own options fill in: no property of the target."""
_PLACES = frozenset({*PATHS, *PATTERNS, "journeys"})
"""Keys whose values are made absolute when a target is loaded."""


def target_digests(target: Target) -> dict[str, str]:
    """The SHA-256 sum of every key of `target`, defaults included; of a secret only by which name it is given."""
    return {key: _sum(value) for key, value in _keys(target, "") if key not in PER_RUN}


def one_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 sum over the sums of all keys."""
    return _sum(dict(sorted(digests.items())))


def portable_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 sum over the sums of all keys but paths: the same target in another folder has the same."""
    return one_digest({key: value for key, value in digests.items() if _last(key) not in _PLACES})


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The keys that differ, sorted."""
    return sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))


def _last(key: str) -> str:
    return key.rpartition(".")[2].partition("[")[0].removesuffix("#")


def _keys(value: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, SecretRef):
        yield key, {"env": value.env, "file": PurePath(value.file).name if value.file else None}
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _keys(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, dict) and value:
        for name, entry in value.items():
            yield from _keys(entry, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and any(isinstance(entry, BaseModel) for entry in value):
        yield f"{key}#", len(value)
        for number, entry in enumerate(value):
            yield from _keys(entry, f"{key}[{number}]")
    else:
        yield key, value


def _sum(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
