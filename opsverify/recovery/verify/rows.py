"""Rows of the recovery checks: what the ledger recorded before the recovery target, known to the plan beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.core.spec import CheckSpec, Row
from opsverify.errors import Inconclusive
from opsverify.recovery.ledger.catalog import KINDS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Target
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded


def recorded_tables(target: Target) -> Sequence[str]:
    """Names of the tables with rows in the ledger, so that the plan lists them beforehand.

    Raises Inconclusive when nothing was recorded before the recovery target.
    """
    return sorted(name for name, table in history_before(target)[0].tables.items() if table.buckets or table.open)


def catalog_kinds(_target: Target) -> Sequence[str]:
    """Name the kinds of the catalog's fingerprint."""
    return KINDS


def history_before(target: Target) -> tuple[History, dt.datetime]:
    """All that was recorded before the recovery target, and that target.

    Raises Inconclusive where target time or records are missing, EvidenceError where a record was changed.
    """
    from opsverify.recovery.ledger.history import History  # noqa: PLC0415 - every plan loads this module, few read a ledger
    from opsverify.recovery.ledger.ledger import Ledger  # noqa: PLC0415

    if target.recovery is None:
        raise Inconclusive("missing [recovery] ledger; name the ledger's file in the target")
    at = recovery_target(target)
    return History.of(Ledger(Path(target.recovery.ledger)).bodies_until(at), at), at


def history_if_any(target: Target) -> History | None:
    """What the ledger holds before the recovery target; None where that is not given, or nothing was recorded."""
    try:
        return history_before(target)[0]
    except Inconclusive:
        return None


@dataclass(frozen=True, kw_only=True)
class Consistency(Row):
    """A row of the consistency table (runbook 5-5): the question `name`, and the stages that run it."""

    spec: CheckSpec = field(init=False)
    name: str
    stages: tuple[str, ...]
    ko: str
    en: str

    def __post_init__(self) -> None:
        spec = CheckSpec(
            f"consistency.{self.name}", ("5-5/consistency",), self.stages, "sev1", self.ko, self.en,
            needs=("postgres", "recovery"),
        )  # fmt: skip
        object.__setattr__(self, "spec", spec)


def recorded_keys(table: str) -> Callable[[Target], Sequence[str]]:
    """The ids under which a table's recorded keys are checked: dates and lines, or statuses.

    They are read from the ledger, so that the plan lists them before the first query.
    """

    def keys(target: Target) -> Sequence[str]:
        from opsverify.recovery.ledger.queries import table as table_named  # noqa: PLC0415 - as below

        group = table_named(table).group
        return sorted({group(key) for key in recorded_before(target).tables[table]})

    return keys


def recorded_before(target: Target) -> Recorded:
    """The newest capture before the recovery target. Raises Inconclusive when target time or capture are missing."""
    from opsverify.recovery.ledger.ledger import Ledger  # noqa: PLC0415 - as above

    if target.recovery is None:
        raise Inconclusive("missing [recovery] ledger; name the ledger's file in the target")
    return Ledger(Path(target.recovery.ledger)).newest_before(recovery_target(target))


def recorded_if_any(target: Target) -> Recorded | None:
    """The newest capture before the recovery target; None without one: checks that need it hold."""
    try:
        return recorded_before(target)
    except Inconclusive:
        return None


def recovery_target(target: Target) -> dt.datetime:
    """The point in time the database was recovered to. Raises Inconclusive when it is not given."""
    moment = target.recovery.recovery_target if target.recovery else None
    if moment is None:
        raise Inconclusive("missing --recovery-target TIME, the point the database was recovered to")
    return moment
