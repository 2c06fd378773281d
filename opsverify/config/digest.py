"""Digest of a resolved target: one for each key, so that a difference can be named; never a secret's value."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, get_args

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
DEFAULTS: Final = "defaults"
"""The key of the sum of all defaults: another version may measure otherwise with the same file."""
_REQUIRED = object()
_TAKEN_OUT = "taken out"
_ENCODER = json.JSONEncoder(sort_keys=True, default=repr)


def target_digests(target: Target) -> dict[str, str]:
    """The SHA-256 sum of every key of `target` that is not as its default, and one of all defaults of this version.

    Of a secret only by which name it is given.
    """
    found = {DEFAULTS: _sum_of_defaults(type(target))}
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


def _keep(value: object, key: str, found: dict[str, str], default: object = None) -> None:
    """Put the sum of every key of `value`, which is that of `key`, into `found`, where it is not as in `default`."""
    if value is None or isinstance(value, str | int):
        found[key] = _sum_of_plain(value)
    elif isinstance(value, SecretRef):
        found[key] = _sum({"env": value.env, "file": PurePath(value.file).name if value.file else None})
    elif isinstance(value, BaseModel):
        section = type(value)
        before = len(found)
        _keep_entries(vars(value), key, found, vars(default) if type(default) is section else _defaults(section))
        if len(found) == before:  # it is there, though with nothing of its own
            found[key] = _sum_of_plain(section.__name__)
    elif isinstance(value, dict) and (value or default):
        _keep_entries(value, key, found, default if isinstance(default, dict) else {})
    elif isinstance(value, list | tuple) and any(isinstance(entry, BaseModel) for entry in value):
        found[f"{key}#"] = _sum(len(value))
        for number, entry in enumerate(value):
            _keep(entry, f"{key}[{number}]", found)
    else:
        found[key] = _sum(value)


def _keep_entries(
    entries: Mapping[str, object], key: str, found: dict[str, str], defaults: Mapping[str, object]
) -> None:
    for name, entry in entries.items():
        default = defaults.get(name, _REQUIRED)
        if type(entry) is not type(default) or entry != default:
            _keep(entry, f"{key}.{name}" if key else name, found, default)
    for name in defaults.keys() - entries.keys():
        found[f"{key}.{name}"] = _TAKEN_OUT


@functools.cache
def _defaults(section: type[BaseModel]) -> dict[str, object]:
    fields = section.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


@functools.cache
def _sum_of_defaults(target: type[BaseModel]) -> str:
    """The sum of all defaults of all sections that a target may have, whichever it has."""
    sections: set[type[BaseModel]] = set()
    _add_sections(target, sections)
    found: dict[str, str] = {}
    for section in sections:
        for name, default in _defaults(section).items():
            _keep(default, f"{section.__name__}.{name}", found)
    return _sum(found)


def _add_sections(annotation: Any, sections: set[type[BaseModel]]) -> None:  # noqa: ANN401 - of any field
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in sections:
        sections.add(annotation)
        for field in annotation.model_fields.values():
            _add_sections(field.annotation, sections)
    for argument in get_args(annotation):
        _add_sections(argument, sections)


def _sum(value: object) -> str:
    return hashlib.sha256(_ENCODER.encode(value).encode()).hexdigest()


_sum_of_plain = functools.lru_cache(maxsize=4096, typed=True)(_sum)
"""The sum of a value that most keys have: one of few defaults. `typed`: 1 and True are equal."""
