"""The chain of alerts: silences by what they may mute and since when, the watchdog by its hops."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import pytest

from opsverify.errors import Inconclusive
from opsverify.periodic.alert_routes import Routes
from opsverify.periodic.silences import in_force
from opsverify.periodic.watchdog import broken_hop
from opsverify.probes.alerts import Alert, Matcher, Silence
from opsverify.probes.prometheus_values import Rule, Series

if TYPE_CHECKING:
    from opsverify.periodic.silences import SilenceInForce

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SEV1 = Rule("InstanceDown", "inactive", "ok", "", {"severity": "sev1", "team": "a"})
SEV3 = Rule("DiskSlow", "inactive", "ok", "", {"severity": "sev3"})


def silence(*matchers: Matcher, hours: tuple[float, float] = (-1, 1), name: str = "s", active: bool = True) -> Silence:
    """A silence of Kim's."""
    texts = tuple(f"{one.name}{'=~' if one.regex else '='}{one.value}" for one in matchers)
    return Silence(
        name, texts, "kim", "maintenance", NOW + hours[1] * HOUR, starts_at=NOW + hours[0] * HOUR, labels=matchers,
        active=active,
    )  # fmt: skip


def of(*silences: Silence) -> tuple[SilenceInForce, ...]:
    """Those in force."""
    return in_force(silences, [SEV1, SEV3], "severity", ("sev1",))


@pytest.mark.parametrize(
    ("matcher", "mutes"),
    [
        (Matcher("alertname", ".+", regex=True), True),
        (Matcher("alertname", "InstanceDown"), True),
        (Matcher("severity", "sev1|sev2", regex=True), True),
        (Matcher("severity", "sev1", equal=False), False),
        (Matcher("instance", "db-1"), True),
        (Matcher("team", "b"), False),
        (Matcher("alertname", "DiskSlow"), False),
        (Matcher("alertname", "Disk.*", regex=True, equal=False), True),
    ],
)
def test_a_silence_counts_by_what_it_may_mute(matcher: Matcher, mutes: bool) -> None:  # noqa: FBT001
    """Trap 21: also while nothing fires; a label that only series have may match."""
    (found,) = of(silence(matcher))
    assert found.mutes == (("InstanceDown",) if mutes else ())
    text = found.text(NOW)
    assert "silenced by kim until 2026-11-28T13:00Z (maintenance), in force for 1h 00m" in text
    assert ("may mute: InstanceDown" in text) is mutes


def test_two_hours_of_maintenance_on_a_sev3_are_no_fault() -> None:
    """Trap 21: it mutes nothing of the highest severity, and lasts two hours."""
    (found,) = of(silence(Matcher("severity", "sev3"), Matcher("instance", "db-1"), hours=(-1, 1)))
    assert (found.mutes, found.lasts_s(NOW)) == ((), 3600)


def test_renewals_are_one_silence() -> None:
    """Trap 21: a day's silence renewed for three days is told as three days; another one's end is no renewal."""
    kept = Matcher("alertname", "DiskSlow")
    days = [silence(kept, hours=(-72 + 24 * n, -48 + 24 * n), name=f"d{n}", active=n == 2) for n in range(3)]
    (found,) = of(*days)
    assert found.lasts_s(NOW) == 72 * 3600
    other = silence(Matcher("alertname", "Other"), hours=(-200, -72), name="o", active=False)
    gap = silence(kept, hours=(-100, -80), name="g", active=False)
    (again,) = of(*days, other, gap)
    assert again.lasts_s(NOW) == 72 * 3600


ROUTED = """
route:
  receiver: inbox
receivers:
  - name: inbox
    webhook_configs:
      - url: http://127.0.0.1/
        send_resolved: true
  - name: 'nobody'
  - slack_configs: []
    name: "empty"
templates: []
"""


class Chain:
    """A Prometheus and an Alertmanager in one state each."""

    def __init__(
        self,
        *,
        loaded: bool = True,
        fires: bool = True,
        routed: tuple[str, ...] | None = ("inbox",),
        sent: tuple[float, float] | None = (5.0, 0.0),
    ) -> None:
        self.loaded, self.fires, self.routed, self.sent = loaded, fires, routed, sent

    def now(self) -> float:
        """The time of the newest sample."""
        return 900.0

    def history(self, selector: str, _span_s: float, _at: float) -> tuple[Series, ...]:
        """Requests to a webhook and those that failed, of a quarter of an hour; none where nobody scrapes them."""
        assert 'integration="webhook"' in selector
        if self.sent is None:
            return ()
        grown = self.sent["failed" in selector]
        return (Series({"instance": "alertmanager:9093"}, ((15.0, 100.0), (900.0, 100.0 + grown))),)

    def rules(self) -> tuple[Rule, ...]:
        """The watchdog, where it is loaded."""
        return (Rule("Watchdog", "firing", "ok", "", {}),) if self.loaded else ()

    def firing_alerts(self, _matchers: str) -> tuple[Alert, ...]:
        """The watchdog, where it fires."""
        return (Alert("Watchdog", {}, "firing", NOW),) if self.fires else ()

    def receivers_of(self, _name: str) -> tuple[str, ...] | None:
        """As routed."""
        return self.routed

    def configuration(self) -> str:
        """Three receivers, of which one has an integration."""
        return ROUTED


@pytest.mark.parametrize(
    ("chain", "hop"),
    [
        (Chain(), None),
        (Chain(sent=(5.0, 4.0)), None),
        (Chain(sent=(0.0, 0.0)), None),
        (Chain(sent=None), None),
        (
            Chain(sent=(5.0, 5.0)),
            "receiver: all 5 requests of integration webhook failed in the last 15m; see Alertmanager's log",
        ),
        (Chain(loaded=False), "rule: Watchdog is not loaded in Prometheus"),
        (Chain(fires=False), "Prometheus: Watchdog is loaded and does not fire"),
        (Chain(routed=None), "Alertmanager: Watchdog fires in Prometheus and does not arrive"),
        (Chain(routed=()), "route: Watchdog is suppressed in Alertmanager, no receiver gets it"),
        (Chain(routed=("nobody",)), "receiver: nobody has no integration, it notifies nobody"),
        (Chain(routed=("empty", "nobody")), "receiver: empty, nobody has no integration, it notifies nobody"),
    ],
)
def test_the_hop_that_lacks_the_watchdog_is_named(chain: Chain, hop: str | None) -> None:
    """Trap 22: fires in Prometheus and is missing in Alertmanager, or its receiver has no integration."""
    assert broken_hop("Watchdog", cast("Any", chain), cast("Any", chain)) == hop


def test_receivers_that_cannot_be_read_are_no_pass() -> None:
    """A configuration in another style, or a receiver that it does not list: inconclusive."""
    assert Routes.of(ROUTED).integrations == {"inbox": ("webhook",), "nobody": (), "empty": ()}
    for unreadable in ('{"receivers": []}', "receivers:\nroute: {}\n", "receivers: [", ""):
        with pytest.raises(Inconclusive, match="its routes cannot be read"):
            Routes.of(unreadable)
    with pytest.raises(Inconclusive, match="receiver other is not in its configuration"):
        broken_hop("Watchdog", cast("Any", Chain(routed=("other",))), cast("Any", Chain(routed=("other",))))
