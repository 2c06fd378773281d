"""Watchdog: the alert that always fires, from its rule to its receiver; the first hop that lacks it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.periodic.alert_routes import Routes

if TYPE_CHECKING:
    from opsverify.language.message import Message
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.prometheus import Prometheus


def broken_hop(name: str, prometheus: Prometheus, alertmanager: Alertmanager) -> Message | None:
    """The first hop that the alert does not pass; None where a receiver with an integration gets it.

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
    known = Routes.of(alertmanager.configuration()).integrations
    for receiver in routed:
        if receiver not in known:
            raise Inconclusive(
                say("Alertmanager: receiver {receiver} is not in its configuration as it reports it", receiver=receiver)
            )
    if not any(known[receiver] for receiver in routed):
        return say("receiver: {receivers} has no integration, it notifies nobody", receivers=", ".join(routed))
    return None
