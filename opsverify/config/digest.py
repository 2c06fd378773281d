"""Digest of a resolved target: one for each key, so that a difference can be named; never a secret's value."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from pydantic import BaseModel

from opsverify.config.anchored import PATHS, PATTERNS
from opsverify.config.database import SecretRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.model import Target

PER_RUN = frozenset({"actions.rolled_back_at"})
"""Keys that a run's own options fill in: no property of the target."""
_PLACES = frozenset({*PATHS, *PATTERNS, "journeys"})
"""Keys whose values are made absolute when a target is loaded."""
_ENCODER = json.JSONEncoder(sort_keys=True, default=repr)


def target_digests(target: Target) -> dict[str, str]:
    """The SHA-256 sum of every key of `target`, defaults included; of a secret only by which name it is given."""
    found: dict[str, str] = {}
    _keep(target, "", found)
    return {key: digest for key, digest in found.items() if key not in PER_RUN}


def one_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 sum over the sums of all keys."""
    return _sum(digests)


def portable_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 sum over the sums of all keys but paths: the same target in another folder has the same."""
    return one_digest({key: value for key, value in digests.items() if _last(key) not in _PLACES})


def differing(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The keys that differ, sorted."""
    return sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))


def _last(key: str) -> str:
    return key.rpartition(".")[2].partition("[")[0].removesuffix("#")


def _keep(value: object, key: str, found: dict[str, str]) -> None:
    """Put the sum of every key of `value`, which is that of `key`, into `found`."""
    if value is None or isinstance(value, str | int):
        found[key] = _sum_of_plain(value)
    elif isinstance(value, SecretRef):
        found[key] = _sum({"env": value.env, "file": PurePath(value.file).name if value.file else None})
    elif isinstance(value, BaseModel):
        for name, entry in vars(value).items():
            _keep(entry, f"{key}.{name}" if key else name, found)
    elif isinstance(value, dict) and value:
        for name, entry in value.items():
            _keep(entry, f"{key}.{name}" if key else str(name), found)
    elif isinstance(value, list | tuple) and any(isinstance(entry, BaseModel) for entry in value):
        found[f"{key}#"] = _sum(len(value))
        for number, entry in enumerate(value):
            _keep(entry, f"{key}[{number}]", found)
    else:
        found[key] = _sum(value)


def _sum(value: object) -> str:
    return hashlib.sha256(_ENCODER.encode(value).encode()).hexdigest()


_sum_of_plain = functools.lru_cache(maxsize=4096, typed=True)(_sum)
"""The sum of a value that most keys have: one of few defaults. `typed`: 1 and True are equal."""
