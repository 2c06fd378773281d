"""Retention of logs in both directions, over a real table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NoReturn

import pytest

from opsverify.config.reviews import RetentionRule
from opsverify.errors import Inconclusive
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.periodic.retention import LogAge, log_age, oldest_entry

if TYPE_CHECKING:
    from opsverify.probes.postgres import Postgres
    from tests.periodic.conftest import Reviewed

RULE = RetentionRule(oldest="SELECT min(at) FROM kept", at_least="3d", at_most="7d")
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def none() -> NoReturn:
    """A part that is not there."""
    raise AssertionError("not asked for")


def seen(days_ago: float, oldest_days_ago: float, query: str = "q") -> Snapshot:
    """What a run saw so many days ago."""
    oldest = (NOW - oldest_days_ago * DAY).isoformat()
    return Snapshot("retention.kept", NOW - days_ago * DAY, Origin({"query": query}), {"log": {"oldest": oldest}})


def test_the_oldest_entry_is_read(reviewed: Reviewed, postgres: Postgres) -> None:
    """Trap 24: kept for 9 days where 7 are allowed; a table without entries shows nothing."""
    reviewed.run("CREATE TABLE kept (at timestamptz)", "GRANT SELECT ON kept TO reader")
    with pytest.raises(Inconclusive, match="the log has no entry"):
        oldest_entry("kept", RULE, lambda: postgres, none)
    reviewed.run("INSERT INTO kept VALUES (now() - interval '9 days'), (now())")
    log = log_age("kept", oldest_entry("kept", RULE, lambda: postgres, none), [])
    assert log.age_s == pytest.approx(9 * 86400, abs=60)
    assert RULE.at_most_s is not None
    assert log.age_s > RULE.at_most_s
    dates = RetentionRule(oldest="SELECT min(at)::date FROM kept", at_most="7d")
    assert log_age("kept", oldest_entry("kept", dates, lambda: postgres, none), []).age_s > 8 * 86400
    with pytest.raises(Inconclusive, match="returns 'x'; expected a time"):
        oldest_entry("kept", RetentionRule(oldest="SELECT 'x'", at_most="7d"), lambda: postgres, none)


def test_an_entry_that_went_before_its_time_is_noticed() -> None:
    """An earlier run saw an older one: it was removed, and the next one is two days old."""
    log = log_age("kept", seen(0, 2), [seen(1, 3.5)])
    assert log == LogAge("kept", NOW, NOW - 2 * DAY, NOW - 3.5 * DAY, NOW - DAY)
    assert log.removed


def test_a_young_log_lost_nothing() -> None:
    """What every run saw is still there: the log was begun lately."""
    log = log_age("kept", seen(0, 2), [seen(1, 2), seen(0.5, 2)])
    assert not log.removed
    assert log.since == NOW - DAY


def test_another_source_tells_nothing() -> None:
    """A query that was changed, or another cluster, saw other entries."""
    log = log_age("kept", seen(0, 2), [seen(1, 30, query="another")])
    assert (log.seen, log.removed) == (None, False)
