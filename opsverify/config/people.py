"""People who attest: the names that sign, what they may sign as, and their keys."""

from __future__ import annotations

from pydantic import Field

from opsverify.config.section import Section


class Person(Section):
    """One person; `public_key` is a PEM file (Ed25519), relative to the target file."""

    name: str = Field(min_length=1)
    roles: tuple[str, ...] = ()
    public_key: str | None = None
