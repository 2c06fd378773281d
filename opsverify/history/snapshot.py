"""Snapshot: counters or an inventory of one subject at one moment, with the origin that makes it comparable."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = int | float | str | None
Row: TypeAlias = "Mapping[str, Value]"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where values come from.

    `same` has what must be equal for a comparison to mean anything (cluster, server version, version of an extension).
    `began` has when counting began, by the name of the mark (stats_reset, run_id): another value is a reset. `lost`
    counts entries that the source itself has dropped so far (dealloc of pg_stat_statements).
    """

    same: Mapping[str, str]
    began: Mapping[str, str] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows of one subject (`postgres.statements`) by key, as of `taken_at`.

    `coverage` is the share (0..1) of the source that the rows hold, None where that is not known. `number` is its
    place in the store, None before it is there. `keep_days`: a later writer removes it after that time, None never.
    """

    subject: str
    taken_at: dt.datetime
    origin: Origin
    rows: Mapping[str, Row]
    coverage: float | None = None
    keep_days: int | None = None
    run_id: str | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        if self.taken_at.tzinfo is None:
            raise ValueError(f"snapshot of {self.subject}: taken_at has no time zone")
        clean = {key: {name: _plain(value) for name, value in row.items()} for key, row in self.rows.items()}
        object.__setattr__(self, "rows", clean)
        object.__setattr__(self, "taken_at", self.taken_at.astimezone(dt.UTC))

    def numbered(self, number: int) -> Snapshot:
        """The same, with its place in the store."""
        return replace(self, number=number)

    def age_s(self, now: dt.datetime) -> float:
        """Seconds since it was taken."""
        return (now - self.taken_at).total_seconds()


def _plain(value: object) -> Value:
    """`value` as the store keeps it. Raises ValueError for what would not come back as it was."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a snapshot cannot hold {value}")
    if value is None or isinstance(value, int | float | str):
        return value
    raise ValueError(f"a snapshot cannot hold {type(value).__name__} {value!r}")
