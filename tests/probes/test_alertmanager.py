"""The Alertmanager probe against a real server, the inbox probe against a fake one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.config.model import AlertmanagerConfig, InboxConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.access import bearer_access
from opsverify.probes.alertmanager import Alertmanager
from opsverify.probes.http import Http
from opsverify.probes.inbox import Inbox
from sandbox import binaries, debian, network
from tests.probes.probe_servers import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.probes.probe_servers import FakeServer, Recorder


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real Alertmanager with three alerts, one of them silenced."""
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    (folder / "config.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    program = binaries.find(binaries.ALERTMANAGER)
    argv = [str(program), f"--config.file={folder}/config.yml"]
    argv += [
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    home = debian.working_dir(program) or folder
    with running(argv, folder, lambda: network.is_ok(port, "/-/ready"), cwd=home), Http(timeout_s=60) as http:
        base = f"http://127.0.0.1:{port}"
        now = dt.datetime.now(dt.UTC)
        silence = {
            "matchers": [{"name": "alertname", "value": "Quiet", "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(), "endsAt": (now + dt.timedelta(hours=1)).isoformat(),
            "createdBy": "tests", "comment": "known",
        }  # fmt: skip
        assert http.post(f"{base}/api/v2/silences", json=silence).status == 200
        alerts = [{"labels": {"alertname": name, "track": "canary"}} for name in ("Loud", "Quiet", "Watchdog")]
        assert http.post(f"{base}/api/v2/alerts", json=alerts).status == 200
        yield base


def test_alertmanager(url: str, recorder: Recorder) -> None:
    """Firing alerts without silenced and ignored ones; silences; a lone server is ready."""
    with Alertmanager(AlertmanagerConfig(url=url), Http(timeout_s=60)).recording(recorder) as probe:
        (alert,) = probe.firing(("Watchdog",))
        assert (alert.name, alert.labels["track"]) == ("Loud", "canary")
        assert alert.active_since is not None
        assert {alert.name for alert in probe.firing()} == {"Loud", "Watchdog"}
        (silence,) = probe.silences()
        assert (silence.matchers, silence.comment) == (('alertname="Quiet"',), "known")
        status = probe.status()
    assert (status.cluster, status.ready) == ("disabled", True)
    assert status.version
    assert len(recorder.kept) == 6


@pytest.mark.parametrize(
    ("matchers", "names"),
    [
        ("", {"Loud", "Watchdog"}),
        ('track="canary"', {"Loud", "Watchdog"}),
        ('alertname=~"L.*"', {"Loud"}),
        ('alertname!="Loud",track=~"canary|stable"', {"Watchdog"}),
        ('team="other"', set()),
        ('team=""', {"Loud", "Watchdog"}),
    ],
)
def test_matchers_select_the_platforms_own(url: str, matchers: str, names: set[str]) -> None:
    """Another team's alerts do not count where Alertmanager is shared; a label that is absent is empty."""
    with Alertmanager(AlertmanagerConfig(url=url, alerts=matchers), Http(timeout_s=60)) as probe:
        assert {alert.name for alert in probe.firing()} == names


def test_an_alert_of_another_team_counts_at_no_severity(fake: FakeServer) -> None:
    """Matchers come first: not even an alert of the highest severity is counted for a platform it is not about."""
    entry = {
        "labels": {"alertname": "Down", "severity": "critical", "team": "other"}, "fingerprint": "1",
        "status": {"state": "suppressed", "silencedBy": [], "inhibitedBy": ["2"]}, "startsAt": "2026-11-22T20:12:33Z",
    }  # fmt: skip
    fake.answer("/api/v2/alerts", [entry])
    fake.answer("/api/v2/silences", [])
    for matchers, counted in (('team="judgment"', ()), ("", ("Down",))):
        with Alertmanager(AlertmanagerConfig(url=fake.url, alerts=matchers), Http()) as probe:
            board = probe.board()
        assert tuple(alert.name for alert in board.counted) == counted
        assert bool(board.suppressed) == bool(counted)


def test_the_receivers_of_an_alert(url: str) -> None:
    """Where it is routed to; none while it is silenced; not there at all."""
    with Alertmanager(AlertmanagerConfig(url=url), Http(timeout_s=60)) as probe:
        assert [probe.receivers_of(name) for name in ("Watchdog", "Quiet", "Other")] == [("nobody",), (), None]


def test_an_alert_that_a_time_interval_mutes_has_no_receiver(fake: FakeServer) -> None:
    """As Alertmanager 0.34 answers: the list of alerts shows it as active, and only its group that nothing is sent."""
    status = {"inhibitedBy": [], "silencedBy": [], "mutedBy": ["always"], "state": "suppressed"}
    alert = {"labels": {"alertname": "Watchdog"}, "fingerprint": "1", "startsAt": "2026-11-22T20:12:33Z"}
    fake.answer("/api/v2/alerts", [alert | {"status": status | {"mutedBy": [], "state": "active"}, "receivers": []}])
    sent = [("ops", status)]
    for more, receivers in (([], ()), ([("pager", status | {"mutedBy": [], "state": "active"})], ("pager",))):
        groups = [
            {"receiver": {"name": name}, "labels": {}, "alerts": [alert | {"status": of}]}
            for name, of in [*sent, *more]
        ]
        fake.answer("/api/v2/alerts/groups", groups)
        with Alertmanager(AlertmanagerConfig(url=fake.url), Http()) as probe:
            assert probe.receivers_of("Watchdog") == receivers


@pytest.mark.parametrize(
    ("body", "status"), [("[]", 500), ({"cluster": {}}, 200), ("<html>", 200), ([{"labels": {}}], 200)]
)
def test_faulty_answers(fake: FakeServer, body: object, status: int) -> None:
    """An answer that is not Alertmanager's measures nothing."""
    fake.answer("/api/v2/status", body, status)
    fake.answer("/api/v2/alerts", body, status)
    with Alertmanager(AlertmanagerConfig(url=fake.url), Http()) as probe:
        for ask in (probe.status, probe.firing):
            with pytest.raises(Inconclusive) as caught:
                ask()
            assert not isinstance(caught.value, Unreachable)


def test_no_server_is_unreachable() -> None:
    """Nothing listening is no answer."""
    with (
        Alertmanager(AlertmanagerConfig(url=f"http://127.0.0.1:{free_port()}"), Http()) as probe,
        pytest.raises(Unreachable),
    ):
        probe.firing()


def test_inbox(fake: FakeServer, recorder: Recorder) -> None:
    """Messages are asked for by the text they hold, with the bearer."""
    message = {"received_at": "2026-11-22T20:12:33.120Z", "source": "judgment", "text": "L03 ALARM 태그"}
    fake.answer("/messages", {"messages": [message]})
    with Inbox(InboxConfig(url=f"{fake.url}/messages"), Http(), bearer_access("planted")).recording(recorder) as inbox:
        (found,) = inbox.messages("a&b 태그")
    assert (found.source, found.text) == ("judgment", "L03 ALARM 태그")
    assert found.received_at == dt.datetime(2026, 11, 22, 20, 12, 33, 120000, dt.UTC)
    assert fake.seen[0][1] == "/messages?contains=a%26b+%ED%83%9C%EA%B7%B8"
    assert fake.seen[0][2]["Authorization"] == "Bearer planted"
    assert "planted" not in recorder.text


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 200), ({"messages": [{}]}, 200), ([], 200), ("no", 200), ({"messages": []}, 500)],
)
def test_faulty_inbox(fake: FakeServer, body: object, status: int) -> None:
    """An inbox that does not list messages must not look empty."""
    fake.answer("/messages", body, status)
    with Inbox(InboxConfig(url=f"{fake.url}/messages"), Http()) as inbox, pytest.raises(Inconclusive):
        inbox.messages("tag")
