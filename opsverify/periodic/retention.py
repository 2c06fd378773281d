"""Retention of a log: the age of its oldest entry, and whether entries went before their time.

A log that is younger than what was promised may have been begun lately, or have lost entries too early. Only what
earlier runs saw tells: an oldest entry that is gone was removed, and how old the next one is shows when.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.reviews import RetentionRule
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus

FOREVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class LogAge:
    """A log now: its oldest entry, and the oldest that any earlier run saw (None: no earlier run)."""

    name: str
    now: dt.datetime
    oldest: dt.datetime
    seen: dt.datetime | None
    since: dt.datetime | None

    @property
    def age_s(self) -> float:
        """Age of the oldest entry."""
        return (self.now - self.oldest).total_seconds()

    @property
    def removed(self) -> bool:
        """Whether entries that an earlier run saw are gone."""
        return self.seen is not None and self.seen < self.oldest


def subject_of(name: str) -> str:
    """The subject of a log in the history."""
    return f"retention.{name}"


def oldest_entry(
    name: str, rule: RetentionRule, postgres: Callable[[], Postgres], prometheus: Callable[[], Prometheus]
) -> Snapshot:
    """The oldest entry of a log now. Raises Inconclusive, also for a log without any."""
    now = dt.datetime.now(dt.UTC)
    oldest = _of_sql(postgres(), rule.oldest) if rule.oldest else _of_promql(prometheus(), str(rule.promql))
    if oldest is None:
        raise Inconclusive(say("{name}: the log has no entry; nothing shows how long they are kept", name=name))
    source = hashlib.sha256((rule.oldest or rule.promql or "").encode()).hexdigest()[:16]
    same = {"query": source}
    if rule.oldest:
        same["system_identifier"] = str(postgres().value("SELECT system_identifier::text FROM pg_control_system()"))
    return Snapshot(subject_of(name), now, Origin(same), {"log": {"oldest": oldest.isoformat()}}, 1.0)


def log_age(name: str, now: Snapshot, earlier: Sequence[Snapshot]) -> LogAge:
    """The log as it is now, with what earlier runs saw of the same source."""
    same = [one for one in earlier if one.origin == now.origin and one.taken_at < now.taken_at]
    seen = [(_oldest(one), one.taken_at) for one in same]
    first = min(seen, default=None)
    return LogAge(
        name, now.taken_at, _oldest(now), first[0] if first else None, min((at for _, at in seen), default=None)
    )


def _oldest(snapshot: Snapshot) -> dt.datetime:
    return dt.datetime.fromisoformat(str(snapshot.rows["log"]["oldest"]))


def _of_sql(postgres: Postgres, statement: str) -> dt.datetime | None:
    value = postgres.value(statement)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if value is None:
        return None
    raise Inconclusive(say("{statement}: returns {value!r}; expected a time", statement=statement, value=value))


def _of_promql(prometheus: Prometheus, query: str) -> dt.datetime:
    value = prometheus.scalar(query)
    return dt.datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, dt.UTC)


_MILLISECONDS = 1e11
"""A Unix time beyond this (the year 5138) is in milliseconds, as Prometheus has its own."""
