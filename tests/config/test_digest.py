"""Digest of a target: every key of every section that is changed, set or taken away shows, by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from opsverify.config import digest
from opsverify.config.database import SecretRef
from opsverify.config.digest import DEFAULTS, PER_RUN, differing, target_digests
from opsverify.config.load import load_target
from opsverify.config.model import Service
from tests.support.paths import REPOSITORY
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic.fields import FieldInfo

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
            below = f"{key}.{name}" if key else name
            for changed, other in others_of(field, getattr(value, name), below):
                yield changed, value.model_copy(update={name: other})
    elif isinstance(value, dict):
        yield from variants_of_table(value, key)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            for changed, other in variants(entry, f"{key}[{number}]"):
                yield changed, (*value[:number], other, *value[number + 1 :])


def variants_of_table(table: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    """`table` with each entry in turn taken out, or another."""
    for name, entry in table.items():
        yield f"{key}.{name}", {other: table[other] for other in table if other != name}
        for changed, other in variants(entry, f"{key}.{name}"):
            yield changed, {**table, name: other}


def others_of(field: FieldInfo, entry: object, key: str) -> Iterator[tuple[str, Any]]:
    """What a field may hold instead: its default, something else, or the same with a part of it changed."""
    yield key, f"not {entry}"
    if not field.is_required() and entry != (default := field.get_default(call_default_factory=True)):
        yield key, default
    for changed, other in variants(entry, key):
        if changed != key:
            yield changed, other


def test_every_key_of_every_section(described: Target) -> None:
    """Whatever differs is named by its key, or by what stands below it; nothing else is named."""
    before = target_digests(described)
    tried = set()
    for key, changed in variants(described, ""):
        tried.add(key)
        named = differing(before, target_digests(changed))
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
    assert differing(target_digests(with_section), target_digests(without)) == ["retention.a"]


def test_a_default_of_another_version(described: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that another version has otherwise is part of the sum: the target would be measured otherwise."""
    before = target_digests(described)
    field = Service.model_fields["health"]
    monkeypatch.setattr(field, "default", f"{field.default}/other")
    for remembered in (digest._defaults, digest._sum_of_defaults):
        remembered.cache_clear()
    after = target_digests(described)
    monkeypatch.undo()
    for remembered in (digest._defaults, digest._sum_of_defaults):
        remembered.cache_clear()
    assert DEFAULTS in differing(before, after)


def test_the_same_in_every_process() -> None:
    """The sum is compared with that of another process: nothing in it depends on the order of a set."""
    target = REPOSITORY / "targets" / "example-production.toml"
    code = (
        "import sys, pathlib; from opsverify.config import digest, load; "
        "target, _ = load.load_target(pathlib.Path(sys.argv[1]), with_secrets=False); "
        "print(digest.one_digest(digest.target_digests(target)))"
    )
    sums = {
        subprocess.run(
            [sys.executable, "-c", code, str(target)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(sums) == 1
