"""Rows of the recovery checks: what the ledger recorded before the recovery target, known to the plan beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.config.project import project_root, suites_home
from opsverify.config.recovery import EVERY_VALIDATION
from opsverify.core.spec import CheckSpec, Row
from opsverify.errors import Inconclusive, NotDescribed
from opsverify.language.message import say
from opsverify.recovery.ledger.catalog import KINDS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from opsverify.config.model import Target
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Facts
    from opsverify.recovery.ledger.validations import Validation


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
        raise NotDescribed(say("missing [recovery] ledger; name the ledger's file in the target"))
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


@dataclass(frozen=True, kw_only=True)
class ValidationRow(Row):
    """A row of the SQL validations: the validation `name`, and which of its keys this check gathers."""

    spec: CheckSpec
    name: str
    group: str = ""
    not_applicable: str | None = None
    cannot_run: str | None = None


def validations_of(target: Target) -> dict[str, Validation]:
    """The SQL validations: the runbook's, and the target's own. Raises Inconclusive where one cannot be read."""
    from opsverify.recovery.ledger.validations import read_validations  # noqa: PLC0415 - every plan loads this module

    patterns = target.recovery.validations if target.recovery else ()
    own = [path for pattern in patterns for path in _matching(Path(pattern))]
    return read_validations(_of_the_runbook(), own)


def _of_the_runbook() -> Path:
    return suites_home(project_root()) / "dr_validation" / "sql"


def not_applicable_of(target: Target) -> Mapping[str, str]:
    """Why validations are not applicable, by id; one reason alone is that of each of the runbook's."""
    from opsverify.recovery.ledger.validations import read_validations  # noqa: PLC0415 - every plan loads this module

    declared = target.recovery.not_applicable if target.recovery else {}
    if (reason := declared.get(EVERY_VALIDATION)) is None:
        return declared
    return dict.fromkeys(read_validations(_of_the_runbook()), reason) | declared


def _matching(pattern: Path) -> Sequence[Path]:
    found = sorted(pattern.parent.glob(pattern.name))
    if not found:
        raise Inconclusive(say("[recovery] validations: no file {pattern}", pattern=pattern))
    return found


def validation_rows(target: Target) -> Sequence[ValidationRow]:
    """One row for each validation, or for each of its states or keys in the ledger, so that the plan lists them."""
    recorded: Mapping[str, Facts] = {}
    reason = None
    try:
        recorded = recorded_before(target).tables
    except Inconclusive as error:
        reason = str(error)
    declared = not_applicable_of(target)
    return [
        row
        for name, validation in validations_of(target).items()
        for row in _validation_rows(validation, recorded.get(name), reason, declared.get(name))
    ]


def _validation_rows(
    validation: Validation, facts: Facts | None, cannot_run: str | None, not_applicable: str | None
) -> Iterator[ValidationRow]:
    header = validation.header
    groups = sorted({validation.group(key) for key in facts or ()})
    if not_applicable is None and cannot_run is None and facts is None:
        cannot_run = say(
            "{id} was not recorded: table {table} was not there when the ledger was captured; if "
            "this database has none, say so in [recovery.not_applicable] {id}",
            id=header.id,
            table=header.table,
        )
    elif not_applicable is None and cannot_run is None and header.per and not groups:
        not_applicable = say("nothing was recorded in the {window} of {id}", window=header.window, id=header.id)
    for group in groups if header.per and groups and not not_applicable else [""]:
        more = f"[{group}]" if group else ""
        title = f" {more}" if more else ""
        spec = CheckSpec(
            f"sql.{header.id}{more}", (*header.runbook, "5-5/consistency"), ("post-dr", "rehearsal"), "sev1",
            f"{header.ko}{title}", f"{header.en}{title}", needs=("postgres", "recovery"),
        )  # fmt: skip
        yield ValidationRow(
            spec=spec, name=header.id, group=group, not_applicable=not_applicable, cannot_run=cannot_run
        )


def recorded_before(target: Target) -> Recorded:
    """The newest capture before the recovery target. Raises Inconclusive when target time or capture are missing."""
    from opsverify.recovery.ledger.ledger import Ledger  # noqa: PLC0415 - as above

    if target.recovery is None:
        raise NotDescribed(say("missing [recovery] ledger; name the ledger's file in the target"))
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
        raise Inconclusive(say("missing --recovery-target TIME, the point the database was recovered to"))
    return moment
