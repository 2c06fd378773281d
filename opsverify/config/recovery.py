"""Recovery of a target: backups, archive, ledger, heartbeat, drill."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from opsverify.config.backups import NEEDS, Barman, Method, PgBackRest, PgDump, Retention
from opsverify.config.database import Login, PostgresConfig  # noqa: TC001 - pydantic reads them
from opsverify.config.ledger import LedgerSampling, LedgerTable, Reason  # noqa: TC001 - pydantic reads them
from opsverify.config.platform import RehearsalPlatform  # noqa: TC001 - as above
from opsverify.config.section import Bytes, Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_bytes, parse_duration

EVERY_VALIDATION: Final = "*"
"""The key of a reason that stands for all of the runbook's validations."""


def _of_all(given: object) -> object:
    return {EVERY_VALIDATION: given} if isinstance(given, str) else given


class Heartbeat(Section):
    """The heartbeat: the table it writes to, and the log outside of the database; `login` may insert and delete."""

    table: str = "opsverify.heartbeat"
    log: str
    login: Login
    every: Duration = "1s"
    keep: Duration = "2d"

    @property
    def every_s(self) -> float:
        """Seconds from one beat to the next."""
        return parse_duration(self.every)


class Recovery(Section):
    """Which `method` makes the backups, where they and the ledger of recorded data are, what is promised.

    `tables` has settings for some of the tables that the ledger records, which are all but those `left_out` with a
    reason; `validations` are SQL files of one's own (patterns), `not_applicable` those of the runbook that this
    database has no tables for, with the reason (one reason alone: all of them); `source` is the original database,
    where it is still reachable: the keys of rows that differ are read there; `platform` is started on the
    database that a rehearsal restored. `settings` are PostgreSQL's, for the drill's server only; with
    `skip_missing_includes` configuration files that are not on this machine are left out. Of a random table larger
    than `random_table_max` a sample of its pages is restored; what pg_amcheck and the record do not cover is examined
    for `examine_within` at most.
    """

    method: Method = "basebackup"
    base_backup: str | None = None
    wal_archive: str | None = None
    pg_dump: PgDump | None = None
    pgbackrest: PgBackRest | None = None
    barman: Barman | None = None
    retention: Retention | None = None
    ledger: str
    recovery_target: dt.datetime | None = None
    scratch: str | None = None
    tables: dict[str, LedgerTable] = Field(default_factory=dict)
    left_out: dict[str, Reason] = Field(default_factory=dict)
    validations: tuple[str, ...] = ()
    not_applicable: Annotated[dict[str, Reason], BeforeValidator(_of_all)] = Field(default_factory=dict)
    sampling: LedgerSampling | None = None
    source: PostgresConfig | None = None
    heartbeat: Heartbeat | None = None
    witness_tolerance: Duration = "5s"
    production_size: Bytes | None = None
    random_tables: tuple[str, ...] = ()
    random_seed: int | None = Field(default=None, ge=0)
    random_table_max: Bytes = "64 MB"
    examine_within: Duration = "30m"
    platform: RehearsalPlatform | None = None
    settings: dict[str, str | int | float | bool] = Field(default_factory=dict)
    skip_missing_includes: bool = False

    @property
    def production_bytes(self) -> float | None:
        """The size of production's database in bytes; None where the target does not set it."""
        return None if self.production_size is None else parse_bytes(self.production_size)

    @property
    def examine_within_s(self) -> float:
        """Seconds for what is examined in addition."""
        return parse_duration(self.examine_within)

    @model_validator(mode="after")
    def _has_what_its_method_needs(self) -> Recovery:
        wanted = NEEDS[self.method]
        for name in sorted({name for names in NEEDS.values() for name in names}):
            if (getattr(self, name) is not None) != (name in wanted):
                verb = say("needs") if name in wanted else say("has no use for")
                raise ValueError(
                    say(
                        'method "{method}" {verb} {name}; expected {wanted}',
                        method=self.method,
                        verb=verb,
                        name=name,
                        wanted=" and ".join(wanted),
                    )
                )
        return self
