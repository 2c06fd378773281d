"""Alert policies: rules that cannot fire, are not evaluated, reach nobody or were never exercised; and sound ones."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from opsverify.config.model import AlertmanagerConfig, PrometheusConfig
from opsverify.config.reviews import ExercisedAlert
from opsverify.errors import Inconclusive
from opsverify.periodic.alert_policies import AlertPolicies
from opsverify.periodic.alert_routes import Routes
from opsverify.probes.prometheus_values import Rule, Sample, Vector
from opsverify.probes.source_fault import FaultReason, Unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.prometheus import Prometheus

NOW = 1_800_000_000.0
SERIES = ("up", 'calls_total{outcome!=""}', "calls_total", "temperature")


@dataclass
class Server:
    """A Prometheus with one rule; `fired` are alerts that it knows, `backtest` whether the expression had results."""

    rule: Rule
    fired: tuple[str, ...] = ()
    backtest: bool = False
    kept_s: float | None = 40 * 86400.0
    asked: list[str] = field(default_factory=list)

    def rules(self) -> tuple[Rule, ...]:
        """The one rule."""
        return (self.rule,)

    def now(self) -> float:
        """The server's clock."""
        return NOW

    def has_series(self, selector: str, _back_s: float) -> bool:
        """Whether it is in the index."""
        return selector in SERIES

    def metric_types(self) -> dict[str, str]:
        """One gauge, one counter."""
        return {"temperature": "gauge", "calls": "counter"}

    def retention_s(self) -> float | None:
        """How long samples are kept."""
        return self.kept_s

    def label_values(self, _label: str, _selector: str, _back: str) -> tuple[str, ...]:
        """Alerts that were seen."""
        return self.fired

    def whole(self, query: str) -> Vector:
        """The backtest."""
        self.asked.append(query)
        return Vector((Sample({}, NOW, 1.0),) if self.backtest else (), (), NOW, query)


def rule(query: str = "up == 0", health: str = "ok", ago_s: float = 1.0) -> Rule:
    """A rule that is evaluated every 15 s."""
    return Rule("R", "inactive", health, "many-to-many", {"severity": "sev2"}, NOW - ago_s, 15.0, query)


def policies(server: Server, **config: object) -> AlertPolicies:
    """What a quarter's review asks."""
    known = PrometheusConfig.model_validate({"url": "http://p", **config})
    return AlertPolicies(cast("Prometheus", server), known)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("up == 0", None),
        ("vector(1)", None),
        ("sum(rate(never_total[5m])) > 1", "no series never_total in 92d"),
        ('rate(calls_total{outcome="failed"}[5m]) > 0', None),
        ('rate(calls_total{outcom="failed"}[5m]) > 0', "no series calls_total has a label outcom"),
        ("never_total > 0 or up == 0", None),
        ("up == 0 unless never_total", None),
        ("absent(never_total)", None),
        ("rate(temperature[5m]) > 1", "rate() of temperature, which is a gauge"),
        ("avg_over_time(temperature[60d]) > 1", "reaches back 60d, kept are 40d"),
    ],
)
def test_rules_that_can_never_fire(query: str, reason: str | None) -> None:
    """Trap 19: a metric that nothing exported; not a value of a label that was not seen yet."""
    found = [str(one) for one in policies(Server(rule(query))).impossible()]
    assert bool(found) is (reason is not None)
    assert reason is None or reason in found[0]


def test_a_server_that_does_not_say_what_it_keeps_forbids_no_range() -> None:
    """Thanos and Mimir have no retention to tell."""
    server = Server(rule("avg_over_time(temperature[60d]) > 1"), kept_s=None)
    assert not list(policies(server).impossible())


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (rule(), None),
        (rule(ago_s=46), None),
        (rule(ago_s=60), "evaluated"),
        (rule(health="unknown"), "never evaluated"),
        (rule(health="err"), "many-to-many"),
    ],
)
def test_rules_that_are_not_evaluated(one: Rule, said: str | None) -> None:
    """Trap 20: unknown health, an error, or three intervals without an evaluation."""
    found = [str(each) for each in policies(Server(one)).late()]
    assert bool(found) is (said is not None)
    assert said is None or said in found[0]


ROUTES = """
route:
  receiver: team
  routes:
    - match: {severity: sev1}
      receiver: pager
      continue: true
    - matchers: ['severity = "sev3"', 'team!~"core|.*-ops"']
      receiver: nobody
    - matchers: [instance="db-1"]
      receiver: dba
    - match_re: {alertname: "Disk.*"}
      routes:
        - matchers: ['severity=sev2']
          receiver: nobody
receivers:
  - name: team
    slack_configs: [{channel: '#a'}]
  - name: pager
    pagerduty_configs: [{routing_key: <secret>}]
  - {name: dba, webhook_configs: [{url: 'http://x'}]}
  - name: nobody
"""


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "sev2", "instance": "db-2"}, ("team",)),
        ({"severity": "sev2"}, ("dba", "team")),
        ({"severity": "sev1", "instance": "db-1"}, ("pager", "dba")),
        ({"severity": "sev3", "team": "web"}, ("nobody",)),
        ({"severity": "sev3", "team": "core", "instance": "db-2"}, ("team",)),
        ({"severity": "sev3"}, ("nobody", "dba", "team")),
        ({"severity": "sev2", "instance": "x", "alertname": "DiskFull"}, ("nobody",)),
        ({"severity": "sev1", "instance": "x", "alertname": "DiskFull"}, ("pager", "team")),
    ],
)
def test_routes_are_walked_as_alertmanager_does(labels: Mapping[str, str], receivers: tuple[str, ...]) -> None:
    """First match ends, `continue` goes on, a child inherits; a label that only series have may match."""
    assert Routes.of(ROUTES).receivers({"alertname": "A", **labels}) == receivers


def test_a_rule_whose_only_receiver_has_no_integration_reaches_nobody() -> None:
    """Trap 22; an alert that is ignored by name may be dropped."""

    class Routed:
        def configuration(self) -> str:
            return ROUTES.replace("#a", "#b").replace("slack_configs: [{channel: '#b'}]", "slack_configs: []")

    asked, alertmanager = policies(Server(rule())), cast("Alertmanager", Routed())
    config = AlertmanagerConfig.model_validate({"url": "http://a"})
    named = Rule("R", "inactive", "ok", "", {"severity": "sev2", "instance": "x"})
    assert not list(asked.unheard(alertmanager, config))  # it may be of db-1
    asked = policies(Server(named))
    assert [str(one) for one in asked.unheard(alertmanager, config)] == ["R (receiver team)"]
    assert not list(asked.unheard(alertmanager, config.model_copy(update={"ignore": ("R",)})))


def test_a_configuration_without_routes_holds() -> None:
    """What cannot be read says nothing."""
    with pytest.raises(Inconclusive, match="routes cannot be read"):
        Routes.of("a: [")
    unreadable = Routes.of(ROUTES.replace("'severity=sev2'", "'severity is sev2'"))
    with pytest.raises(Inconclusive, match="matcher severity is sev2 of a route cannot be read"):
        unreadable.receivers({"alertname": "DiskFull", "severity": "sev2", "instance": "x"})


def test_a_rule_is_exercised_that_fired_would_have_or_was_tried() -> None:
    """By ALERTS, by its expression over the look-back, or by a person lately."""
    assert policies(Server(rule())).never_exercised() == ("R",)
    assert policies(Server(rule(), fired=("R",))).never_exercised() == ()
    server = Server(rule(), backtest=True)
    assert policies(server).never_exercised() == ()
    assert re.fullmatch(r"count\(count_over_time\(\(up == 0\)\[7948800s:15898s\]\)\)", server.asked[0])
    today = dt.datetime.now(dt.UTC).date()
    for days, left in ((10, ()), (100, ("R",))):
        tried = ExercisedAlert(at=today - dt.timedelta(days=days), by="kim", how="stopped an instance")
        assert policies(Server(rule()), exercised={"R": tried}).never_exercised() == left


def test_two_rules_of_one_name_are_two() -> None:
    """The one that would have fired does not speak for the other, whichever comes last."""

    class Two(Server):
        queries: tuple[str, ...] = ()

        def rules(self) -> tuple[Rule, ...]:
            return tuple(map(rule, self.queries))

        def whole(self, query: str) -> Vector:
            return Vector((Sample({}, NOW, 1.0),) if "up == 0" in query else (), (), NOW, query)

    for order in (("up == 0", "up == 7"), ("up == 7", "up == 0")):
        server = Two(rule())
        server.queries = order
        assert policies(server).never_exercised() == ("R",)


def test_a_server_that_goes_away_has_not_judged_a_rule() -> None:
    """No answer to a backtest is no answer, and not a rule that never fired."""

    class Away(Server):
        def whole(self, query: str) -> Vector:
            raise Unanswered(FaultReason.UNREACHABLE, f"no answer to {query}")

    with pytest.raises(Unanswered):
        policies(Away(rule())).never_exercised()


def test_no_rule_at_all_holds() -> None:
    """A review of nothing is none."""
    with pytest.raises(Inconclusive, match="no alerting rule is loaded"):
        list(policies(Server(Rule("recorded", "", "ok", "", {}))).late())
