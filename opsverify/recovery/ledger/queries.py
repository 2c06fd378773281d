"""Queries to a database: their windows, and what is found under each key.

Only closed buckets count. A bucket is closed when it ended `SETTLE` before the moment of recording: a row
whose transaction was then still open would otherwise appear later and look like an added one.
Rows of a production date are taken to be final once the date is over (and settled) in the plant's time zone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Row = Sequence[Any]
    Source = Callable[[str, Mapping[str, object]], Iterable[Row]]
    """Sends one SQL text with its parameters (as psycopg takes them) and gives rows in column order."""

Value = int | str | None
"""A count, or an exact decimal as text (`"1204.5"`); None is SQL's NULL."""
Facts = dict[str, dict[str, Value]]
"""What was found under every key of a table: `{"2026-11-20-L03": {"rows": 4, "produced_qty": "812"}}`."""

SETTLE: Final = dt.timedelta(minutes=5)
"""How long after its end a bucket may still receive rows: the longest transaction that the platform runs."""

NAMES_ON: Final = ""
"""The `search_path` of every query of the ledger: names are written in full, and no object of a user is taken.

With any schema of a user on it, a function there that fits better than one of `pg_catalog` would be called instead.
"""


@dataclass(frozen=True)
class Window:
    """From `since` up to, not including, `until`: two aware times, or two dates."""

    since: dt.datetime | dt.date
    until: dt.datetime | dt.date

    @property
    def params(self) -> dict[str, object]:
        """The window as parameters of a query."""
        return {"since": self.since, "until": self.until}


def fingerprint(sql: str) -> str:
    """Return what differs between two versions of a query (SHA-256, comments and white space left out)."""
    code = (line.partition("--")[0] for line in sql.splitlines())
    return hashlib.sha256(" ".join(" ".join(code).split()).encode()).hexdigest()
