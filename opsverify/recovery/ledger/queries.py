"""Queries of the core tables, recorded before a disaster and repeated after it, unchanged.

Only closed buckets count. A bucket is closed when it ended `SETTLE` before the moment of recording: a row
whose transaction was then still open would otherwise appear later and look like an added one.
Rows of a production date are taken to be final once the date is over (and settled) in the plant's time zone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    Row = Sequence[Any]
    Source = Callable[[str, Mapping[str, object]], Iterable[Row]]
    """Sends one SQL text with its parameters (as psycopg takes them) and gives rows in column order."""

Value = int | str | None
"""A count, or an exact decimal as text (`"1204.5"`); None is SQL's NULL."""
Facts = dict[str, dict[str, Value]]
"""What was found under every key of a table: `{"2026-11-20-L03": {"rows": 4, "produced_qty": "812"}}`."""

SETTLE: Final = dt.timedelta(minutes=5)
"""How long after its end a bucket may still receive rows: the longest transaction that the platform runs."""

TERMINAL: Final = ("COMPLETED", "FAILED", "DEAD")
"""Workflow statuses that an instance does not leave again."""
ALL: Final = "ALL"
"""Stands for a status: all instances of a bucket together."""


@dataclass(frozen=True)
class Window:
    """From `since` up to, not including, `until`: two aware times, or two dates."""

    since: dt.datetime | dt.date
    until: dt.datetime | dt.date

    @property
    def params(self) -> dict[str, object]:
        """The window as parameters of a query."""
        return {"since": self.since, "until": self.until}


@dataclass(frozen=True)
class RecordedTable:
    """One of the runbook's validations: its table, its query's file, its window, and how rows become facts.

    A bucket is as long as `bucket`. `group` gives, for a key, the id under which a check may gather keys.
    """

    name: str
    query: str
    bucket: dt.timedelta
    reach: dt.timedelta
    facts: Callable[[Iterable[Row]], Facts]
    group: Callable[[str], str]

    def window(self, at: dt.datetime, zone: dt.tzinfo) -> Window:
        """Return the closed buckets before `at`; of the table's dates in `zone` when its buckets are days."""
        settled = at - SETTLE
        if self.bucket >= dt.timedelta(days=1):
            until = settled.astimezone(zone).date()
            return Window(until - self.reach, until)
        end = _floor(settled, self.bucket)
        return Window(end - self.reach, end)


def _judgments(rows: Iterable[Row]) -> Facts:
    return {_minute(bucket): {"rows": int(count)} for bucket, count in rows}


def _workflows(rows: Iterable[Row]) -> Facts:
    counted: Counter[str] = Counter()
    for bucket, status, count in rows:
        counted[f"{ALL}@{_minute(bucket)}"] += int(count)
        if status in TERMINAL:
            counted[f"{status}@{_minute(bucket)}"] += int(count)
    return {key: {"rows": count} for key, count in counted.items()}


def _production(rows: Iterable[Row]) -> Facts:
    return {
        f"{date.isoformat()}-{_ascii(line)}": {
            "rows": int(count),
            "planned_qty": _exact(planned),
            "produced_qty": _exact(produced),
            "defect_qty": _exact(defect),
        }
        for date, line, count, planned, produced, defect in rows
    }


TABLES: Final = (
    RecordedTable(
        name="judgment_executions",
        query="1-judgments.sql",
        bucket=dt.timedelta(minutes=10),
        reach=dt.timedelta(days=1),
        facts=_judgments,
        group=lambda _key: "",
    ),
    RecordedTable(
        name="workflow_instances",
        query="2-workflows.sql",
        bucket=dt.timedelta(hours=1),
        reach=dt.timedelta(days=1),
        facts=_workflows,
        group=lambda key: key.partition("@")[0],
    ),
    RecordedTable(
        name="fact_daily_production",
        query="3-fact-daily-production.sql",
        bucket=dt.timedelta(days=1),
        reach=dt.timedelta(days=7),
        facts=_production,
        group=lambda key: key,
    ),
)
"""The runbook's three sample validations, in its order."""


def table(name: str) -> RecordedTable:
    """Return the table named `name`. Raises KeyError when nothing is recorded of it."""
    return {entry.name: entry for entry in TABLES}[name]


def read_queries(folder: Path) -> dict[str, str]:
    """Return the SQL text of every table, by the table's name.

    Raises Inconclusive when a file cannot be read.
    """
    try:
        return {entry.name: (folder / entry.query).read_text(encoding="utf-8") for entry in TABLES}
    except OSError as error:
        raise Inconclusive(f"validation query {error.filename} cannot be read: {error.strerror}") from error


def fingerprint(sql: str) -> str:
    """Return what differs between two versions of a query (SHA-256, comments and white space left out)."""
    code = (line.partition("--")[0] for line in sql.splitlines())
    return hashlib.sha256(" ".join(" ".join(code).split()).encode()).hexdigest()


def _floor(moment: dt.datetime, step: dt.timedelta) -> dt.datetime:
    moment = moment.astimezone(dt.UTC)
    return moment - (moment - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) % step


def _minute(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _ascii(text: str) -> str:
    # Check ids are ASCII; a line named otherwise stays recognisable and unique.
    return text.encode("ascii", "backslashreplace").decode()


def _exact(number: Decimal | float | None) -> str | None:
    if number is None:
        return None
    text = format(Decimal(number), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
