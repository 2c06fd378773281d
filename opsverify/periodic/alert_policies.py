"""Alert rules in four questions: can each fire, is it evaluated, does it reach someone, was it exercised."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.periodic.alert_routes import Routes
from opsverify.probes.promql import alternatives
from opsverify.probes.source_fault import Unanswered
from opsverify.units import elapsed, parse_duration, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.model import AlertmanagerConfig, PrometheusConfig
    from opsverify.language.message import Message
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.prometheus_values import Rule
    from opsverify.probes.promql import Selector

MISSED: Final = 3
"""Intervals without an evaluation before a rule counts as not evaluated."""
SLACK_S: Final = 1.0
_STEPS: Final = 500
"""Moments of the look-back at which an expression is evaluated again."""
_SUFFIXES: Final = ("_total", "_bucket", "_count", "_sum")


@dataclass
class AlertPolicies:
    """The alerting rules that are loaded, asked of the servers that evaluate and route them."""

    prometheus: Prometheus
    config: PrometheusConfig

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The alerting rules. Raises Inconclusive where none is loaded."""
        found = tuple(rule for rule in self.prometheus.rules() if rule.state)
        if not found:
            raise Inconclusive(say("no alerting rule is loaded in Prometheus; check rule_files, and alerting_rules"))
        return found

    def impossible(self) -> Iterator[Message]:
        """Rules that can never fire, each with the reason. Raises Inconclusive where one cannot be parsed."""
        for rule in self.rules:
            reasons = [self._missing(alternative) for alternative in alternatives(rule.query)]
            if all(reasons):
                yield say("{rule} ({reason})", rule=rule.name, reason=reasons[0])

    def late(self) -> Iterator[Message]:
        """Rules whose evaluation fails, or did not happen lately."""
        now = self.prometheus.now()
        for rule in self.rules:
            if rule.health == "err":
                yield say("{rule} ({reason})", rule=rule.name, reason=rule.last_error)
            elif rule.health != "ok" or rule.last_at is None:
                yield say("{rule} (never evaluated)", rule=rule.name)
            elif rule.every_s and now - rule.last_at > MISSED * rule.every_s + SLACK_S:
                yield say("{rule} (evaluated {age} ago)", rule=rule.name, age=elapsed(now - rule.last_at))

    def unheard(self, alertmanager: Alertmanager, config: AlertmanagerConfig) -> Iterator[Message]:
        """Rules whose alerts no receiver with an integration can get."""
        routes = Routes.of(alertmanager.configuration())
        for rule in self.rules:
            labels = {**rule.labels, "alertname": rule.name}
            if rule.name not in config.ignore and not routes.notifying(labels):
                yield say("{rule} (receiver {names})", rule=rule.name, names=", ".join(routes.receivers(labels)))

    def never_exercised(self) -> tuple[str, ...]:
        """Rules that have not fired, would not have fired, and were not exercised by anybody in the look-back."""
        fired = set(self.prometheus.label_values("alertname", "ALERTS", self.config.policy_lookback))
        rules = [rule for rule in self.rules if rule.name not in fired and not self._declared(rule.name)]
        # Of two rules with one name, each has to have a chance of its own.
        return tuple(dict.fromkeys(rule.name for rule in rules if not self._would_have_fired(rule)))

    def _declared(self, name: str) -> bool:
        known = self.config.exercised.get(name)
        if known is None:
            return False
        age = dt.datetime.now(dt.UTC) - dt.datetime.combine(known.at, dt.time(), dt.UTC)
        return age.total_seconds() <= self._back_s

    def _would_have_fired(self, rule: Rule) -> bool:
        step = max(1.0, self._back_s / _STEPS)
        query = f"count_over_time(({rule.query})[{self._back_s:.0f}s:{step:.0f}s])"
        try:
            return bool(self.prometheus.whole(f"count({query})").samples)
        except Unanswered:
            raise
        except Inconclusive:  # an expression that cannot be evaluated has not fired
            return False

    def _missing(self, needed: tuple[Selector, ...]) -> Message | None:
        """Why one of the selectors has no series to select; None where all may have."""
        return next((reason for one in needed if (reason := self._impossible(one)) is not None), None)

    def _impossible(self, one: Selector) -> Message | None:
        if self._retention_s is not None and one.reach_s > self._retention_s:
            return say(
                "{selector} reaches back {reach}, kept are {kept}",
                selector=one.text,
                reach=quantity(one.reach_s, "s"),
                kept=quantity(self._retention_s, "s"),
            )
        if one.metric is not None and one.rate and self._type_of(one.metric) == "gauge":
            return say("{function}() of {metric}, which is a gauge", function=one.rate, metric=one.metric)
        return None if one.metric is None or self._seen(one.text) else self._unseen(one.metric, one.labels)

    def _unseen(self, metric: str, labels: tuple[str, ...]) -> Message | None:
        """Why no series can match: the metric or a label is unknown; None where only a value was not seen yet."""
        if not self._seen(metric):
            return say("no series {metric} in {back}", metric=metric, back=self.config.policy_lookback)
        missing = next((label for label in labels if not self._seen(f'{metric}{{{label}!=""}}')), None)
        return say("no series {metric} has a label {label}", metric=metric, label=missing) if missing else None

    def _type_of(self, metric: str) -> str | None:
        names = (metric, *(metric.removesuffix(suffix) for suffix in _SUFFIXES if metric.endswith(suffix)))
        return next((self._types[name] for name in names if name in self._types), None)

    def _seen(self, selector: str) -> bool:
        if selector not in self._known:
            self._known[selector] = self.prometheus.has_series(selector, self._back_s)
        return self._known[selector]

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    @cached_property
    def _types(self) -> dict[str, str]:
        return self.prometheus.metric_types()

    @cached_property
    def _retention_s(self) -> float | None:
        return self.prometheus.retention_s()

    @property
    def _back_s(self) -> float:
        return parse_duration(self.config.policy_lookback)
