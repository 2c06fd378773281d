"""Digest of a target: every key of every section that is changed, set or taken away shows, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from opsverify.config.database import SecretRef
from opsverify.config.digest import PER_RUN, differing, one_digest, target_digests
from opsverify.config.load import load_target
from tests.support.paths import REPOSITORY
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target


@pytest.fixture(scope="module")
def described() -> Target:
    """A target that describes nearly everything that can be described."""
    return load_target(REPOSITORY / "targets" / "example-production.toml", with_secrets=False)[0]


def variants(value: object, key: str) -> Iterator[tuple[str, Any]]:
    """Every field of every section below `value` by its key, with `value` in which it alone is another or its default.

    None is validated: it is the digest that is tested, not what a target may say.
    """
    if isinstance(value, SecretRef):
        yield key, SecretRef(env="ANOTHER")
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            entry, below = getattr(value, name), f"{key}.{name}" if key else name
            others = [variant for variant in variants(entry, below) if variant[0] != below]
            others.append((below, f"not {entry}"))
            if not field.is_required() and entry != (default := field.get_default(call_default_factory=True)):
                others.append((below, default))
            for changed, other in others:
                yield changed, value.model_copy(update={name: other})
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield f"{key}.{name}", {other: value[other] for other in value if other != name}
            for changed, other in variants(entry, f"{key}.{name}"):
                yield changed, {**value, name: other}
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            for changed, other in variants(entry, f"{key}[{number}]"):
                yield changed, (*value[:number], other, *value[number + 1 :])


def test_every_key_of_every_section(described: Target) -> None:
    """Whatever differs is named by its key, or by what stands below it; nothing else is named."""
    before = target_digests(described)
    tried = set()
    for key, changed in variants(described, ""):
        tried.add(key)
        named = [name for name in differing(before, target_digests(changed)) if not name.endswith(" defaults")]
        if key in PER_RUN:
            assert not named
            continue
        assert named, key
        parents = (key.rpartition(".")[0], key.rpartition("[")[0])
        assert all(name.startswith(key) or name in parents for name in named), (key, named)
    assert len(tried) > 500
    assert {"limits.error_rate", "services.judgment.latency", "actions.promote[0].run", "waivers[0].until"} <= tried


def test_a_section_with_nothing_of_its_own(tmp_path: Path) -> None:
    """A section that is there, though all in it is as it would be anyway, is not the same as none."""
    target = target_in(tmp_path, SMALLEST)
    section = type(target.limits)()
    with_section, without = (target.model_copy(update={"retention": value}) for value in ({"a": section}, {}))
    assert "retention.a" in differing(target_digests(with_section), target_digests(without))


def test_a_default_of_another_version(described: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that another version has otherwise is part of the sum: the target would be measured otherwise."""
    before = target_digests(described)
    monkeypatch.setattr("opsverify.config.digest._sum_of_defaults", lambda section: f"another {section.__name__}")
    after = target_digests(described)
    assert one_digest(after) != one_digest(before)
    assert all(key.endswith(" defaults") for key in differing(before, after))
