"""Watchdog: the alert that always fires, from its rule to its receiver; the first hop that lacks it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.counters import increments
from opsverify.periodic.alert_routes import Routes
from opsverify.units import duration

if TYPE_CHECKING:
    from opsverify.language.message import Message
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.prometheus import Prometheus

_LATELY_S: Final = 900.0
"""What has failed is sent again with every interval of its group, five minutes as a rule."""
_REQUESTS: Final = "alertmanager_notification_requests_total"
_FAILED: Final = "alertmanager_notification_requests_failed_total"


def broken_hop(name: str, prometheus: Prometheus, alertmanager: Alertmanager) -> Message | None:
    """The first hop that the alert does not pass; None where a receiver with an integration gets it.

    Whether what is sent arrives is known where Prometheus scrapes Alertmanager.

    Raises Inconclusive where a hop cannot be read.
    """
    if not any(rule.name == name and rule.state for rule in prometheus.rules()):
        return say("rule: {name} is not loaded in Prometheus", name=name)
    if not any(alert.name == name for alert in prometheus.firing_alerts(f'alertname="{name}"')):
        return say("Prometheus: {name} is loaded and does not fire", name=name)
    routed = alertmanager.receivers_of(name)
    if routed is None:
        return say("Alertmanager: {name} fires in Prometheus and does not arrive", name=name)
    if not routed:
        return say("route: {name} is suppressed in Alertmanager, no receiver gets it", name=name)
    routes = Routes.of(alertmanager.configuration())
    for receiver in routed:
        if receiver not in routes.integrations:
            raise Inconclusive(
                say("Alertmanager: receiver {receiver} is not in its configuration as it reports it", receiver=receiver)
            )
    kinds = sorted({kind for receiver in routed for kind in routes.integrations[receiver]})
    if not kinds:
        return say("receiver: {receivers} has no integration, it notifies nobody", receivers=", ".join(routed))
    return next(filter(None, (_failing(prometheus, kind) for kind in kinds)), None)


def _failing(prometheus: Prometheus, kind: str) -> Message | None:
    """Why nothing gets through an integration of this kind; None where something does, or nothing was sent."""
    at = prometheus.now()
    sent, failed = (_grown(prometheus, f'{metric}{{integration="{kind}"}}', at) for metric in (_REQUESTS, _FAILED))
    if not sent or failed < sent:
        return None
    return say(
        "receiver: all {sent:,.0f} requests of integration {kind} failed in the last {span}; see Alertmanager's log",
        sent=sent,
        kind=kind,
        span=duration(_LATELY_S),
    )


def _grown(prometheus: Prometheus, selector: str, at: float) -> float:
    series = {one.key: dict(one.points) for one in prometheus.history(selector, _LATELY_S, at) if one.points}
    return increments(series, [at - _LATELY_S, at]).total
