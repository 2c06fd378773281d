"""Backup settings: which tool makes them, what is needed to read them, and how many are promised."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_duration

Method = Literal["basebackup", "incremental", "pg_dump", "pgbackrest", "barman"]

NEEDS: dict[Method, tuple[str, ...]] = {
    "basebackup": ("base_backup", "wal_archive"),
    "incremental": ("base_backup", "wal_archive"),
    "pg_dump": ("pg_dump",),
    "pgbackrest": ("pgbackrest",),
    "barman": ("barman",),
}
"""The keys of [recovery] that a method reads; those of other methods are refused with it."""


class PgDump(Section):
    """Archives of pg_dump: one in custom or directory format, or a folder of such; `major` restores them.

    `globals` is what `pg_dumpall --globals-only` wrote: a file, or a pattern of names.
    """

    archive: str
    major: int = Field(ge=10)
    sha256: str | None = None
    globals: str | None = None


class PgBackRest(Section):
    """A stanza of pgBackRest, as this machine may read it."""

    stanza: str
    config: str | None = None
    repo: int | None = Field(default=None, ge=1)
    program: str = "pgbackrest"


class Barman(Section):
    """A server of barman, on barman's own machine; `user` runs barman where opsverify is run by root."""

    server: str
    config: str | None = None
    user: str = "barman"
    program: str = "barman"


class Retention(Section):
    """The promise on older backups: that many, or a recovery to any moment of the past `window`."""

    backups: int | None = Field(default=None, ge=1)
    window: Duration | None = None

    @model_validator(mode="after")
    def _promises_something(self) -> Retention:
        if self.backups is None and self.window is None:
            raise ValueError(say('expected {{ backups = 7 }} or {{ window = "14 d" }}, or both'))
        return self

    @property
    def window_s(self) -> float | None:
        """Seconds of the past that are promised; None where none are."""
        return None if self.window is None else parse_duration(self.window)
