"""Promptness of incidents: late, overdue, not yet due, unrated, and older than a quarter."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.incidents import IncidentHours, SeverityHours
from opsverify.incident.promptness import LOOKBACK, Promptness, promptness
from opsverify.incident.timeline import Event, Incident

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
HOURS = IncidentHours(sev2=SeverityHours(tell={"L1": "15m", "L2": "1h"}, customer_notice="4h"))


def event(minutes_ago: float, step: str, severity: str | None = None, level: str | None = None) -> Event:
    """An entry of the timeline."""
    at = (NOW - dt.timedelta(minutes=minutes_ago)).isoformat()
    return Event(step, at, at, "kim", "plant", severity=severity, level=level)


def told(*events: Event, now: dt.datetime = NOW) -> Promptness:
    """The promptness of one incident."""
    return promptness([Incident(Path("20261129T100000Z-plant-0000"), events)], HOURS, ["L1", "L2", "L3"], now)


def test_told_in_time() -> None:
    """Every level that has hours, and the customers; L3 has none for this severity."""
    found = told(
        event(120, "declare", "sev2"),
        event(115, "told", level="L1"),
        event(60, "told", level="L2"),
        event(30, "customer-notice"),
    )
    assert (found.incidents, found.kept, found.waiting, found.late, found.unrated) == (1, 3, 0, (), ())


def test_told_late() -> None:
    """By how much, and who."""
    found = told(event(120, "declare", "sev2"), event(100, "told", level="L1"), event(90, "told", level="L2"))
    assert [line.en for line in found.late] == ["20261129T100000Z-plant-0000: L1 told 5m 00s late"]
    assert (found.kept, found.waiting) == (1, 1)


def test_never_told() -> None:
    """The customers' deadline has passed without a word."""
    found = told(event(300, "declare", "sev2"), event(299, "told", level="L1"), event(298, "told", level="L2"))
    assert [line.en for line in found.late] == ["20261129T100000Z-plant-0000: customer-notice not told, 1h 00m overdue"]


def test_without_a_severity_nothing_is_in_time() -> None:
    """Nobody recorded by when anybody had to be told."""
    found = told(event(300, "declare"), event(299, "told", level="L1"))
    assert (found.kept, found.late, found.unrated) == (0, (), ("20261129T100000Z-plant-0000",))


@given(st.floats(0, 400))
def test_a_quarter_is_reviewed(days: float) -> None:
    """Incidents that were declared in it, and no others."""
    began = NOW - dt.timedelta(days=days)
    incident = Incident(Path("x"), (Event("declare", began.isoformat(), began.isoformat(), "kim", "plant"),))
    found = promptness([incident], HOURS, [], NOW)
    assert found.incidents == (NOW - began <= LOOKBACK)


def test_no_incident() -> None:
    """Nothing had to be told."""
    assert promptness([], HOURS, ["L1"], NOW) == Promptness(0, 0, 0, (), ())
