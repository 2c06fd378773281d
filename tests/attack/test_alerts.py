"""Alerts that somebody hides: each stands in the result, and one of sev1 is never 'no alert'."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.model import AcceptedAlert, AlertmanagerConfig
from opsverify.probes.alertmanager import Alertmanager
from opsverify.probes.alerts import mutes_everything
from opsverify.probes.http import Http

if TYPE_CHECKING:
    from opsverify.probes.alerts import AlertBoard
    from tests.probes.probe_servers import FakeServer

TODAY = dt.date(2026, 11, 29)


class _Today(dt.datetime):
    """A clock that stands still at the last minute of the day."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> _Today:
        return cls(TODAY.year, TODAY.month, TODAY.day, 23, 59, tzinfo=tz)


def _alert(
    name: str, severity: str, silences: tuple[str, ...] = (), inhibitors: tuple[str, ...] = ()
) -> dict[str, Any]:
    state = "suppressed" if silences or inhibitors else "active"
    return {
        "labels": {"alertname": name, "severity": severity},
        "fingerprint": f"print of {name}",
        "startsAt": "2026-11-28T10:00:00Z",
        "status": {"state": state, "silencedBy": silences, "inhibitedBy": inhibitors},
    }


def _silence(*matchers: tuple[str, str, bool, bool]) -> dict[str, Any]:
    return {
        "id": "s1",
        "matchers": [
            {"name": name, "value": value, "isRegex": regex, "isEqual": equal} for name, value, regex, equal in matchers
        ],
        "createdBy": "kim",
        "comment": "deploying",
        "startsAt": "2026-11-28T08:00:00Z",
        "endsAt": "2026-11-29T10:00:00Z",
        "status": {"state": "active"},
    }


def _board(fake: FakeServer, alerts: list[Any], silences: list[Any], **config: Any) -> AlertBoard:  # noqa: ANN401 - keys
    fake.answer("/api/v2/alerts", alerts)
    fake.answer("/api/v2/silences", silences)
    target = AlertmanagerConfig(url=fake.url, **config)
    with Http() as http:
        return Alertmanager(target, http).board(target.ignore)


NAMED = _silence(("alertname", "Quiet", False, True))


def test_every_suppressed_alert_is_named_with_author_and_end(fake: FakeServer) -> None:
    """A silenced sev2 does not count; the result says who silenced it, until when, and why."""
    board = _board(fake, [_alert("Quiet", "sev2", ("s1",)), _alert("Behind", "sev3", (), ("print of Quiet",))], [NAMED])
    assert board.counted == ()
    assert "Quiet (silenced by kim until 2026-11-29T10:00Z (deploying))" in board.text
    assert "Behind (inhibited by Quiet)" in board.text


@pytest.mark.parametrize("severity", ["sev1", "critical", "page"])
@pytest.mark.parametrize("how", [{"silences": ("s1",)}, {"inhibitors": ("print of Other",)}, {}])
def test_a_hidden_sev1_counts(fake: FakeServer, severity: str, how: dict[str, Any]) -> None:
    """Silenced, inhibited or in `ignore`: an alert of the highest severity is not 'no alert'."""
    ignore = () if how else ("Quiet",)
    board = _board(fake, [_alert("Quiet", severity, **how)], [NAMED], ignore=ignore)
    assert [alert.name for alert in board.counted] == ["Quiet"]
    assert "Quiet (" in board.text


def test_an_accepted_sev1_does_not_count_until_its_day(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With owner, reason and date it is named and does not count; after that day it does."""
    monkeypatch.setattr("opsverify.probes.alertmanager.dt", SimpleNamespace(datetime=_Today, UTC=dt.UTC))
    for days, counted in ((0, 0), (-1, 1)):
        accepted = AcceptedAlert(
            alert="Quiet", owner="kim", reason="storage is being moved", until=TODAY + dt.timedelta(days=days)
        )
        board = _board(fake, [_alert("Quiet", "sev1", ("s1",))], [NAMED], accepted=(accepted,))
        assert len(board.counted) == counted
        assert ("accepted by kim" in board.text) == (not counted)


@pytest.mark.parametrize(
    ("matchers", "everything"),
    [
        ([("alertname", ".+", True, True)], True),
        ([("severity", ".*", True, True)], True),
        ([("alertname", "Watchdog", False, False)], True),
        ([("alertname", "x|.*", True, True), ("job", "[a-z-]+", True, True)], True),
        ([("alertname", "Quiet", False, True)], False),
        ([("alertname", ".+", True, True), ("instance", "a", False, True)], False),
        ([("alertname", "(", True, True)], False),
    ],
)
def test_a_silence_of_everything(fake: FakeServer, matchers: list[Any], everything: bool) -> None:  # noqa: FBT001 - a case
    """A silence that an invented alert would not escape is a finding of its own, also while nothing fires."""
    silence = _silence(*matchers)
    assert mutes_everything(silence["matchers"]) == everything
    assert len(_board(fake, [], [silence]).mute_all) == everything


def test_a_watchdog_must_fire(fake: FakeServer) -> None:
    """Absent or silenced it is red, where the target expects one; it never counts as an alert."""
    assert _board(fake, [], []).watchdog is None
    assert _board(fake, [], [], watchdog="Watchdog").watchdog is False
    silenced = _board(fake, [_alert("Watchdog", "none", ("s1",))], [NAMED], watchdog="Watchdog")
    assert silenced.watchdog is False
    firing = _board(fake, [_alert("Watchdog", "none")], [], watchdog="Watchdog", ignore=())
    assert (firing.watchdog, firing.counted) == (True, ())
