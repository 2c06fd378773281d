"""Watchdog: the alert that always fires, from its rule to its receiver; the first hop that lacks it is named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.language.message import Message
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.prometheus import Prometheus

_RECEIVERS: Final = re.compile(r"^receivers:[ \t]*$", re.MULTILINE)
_ITEM: Final = re.compile(r"^(?P<indent>[ \t]*)-[ \t]+(?P<rest>.*)$")
_NAME: Final = re.compile(r"""^name:[ \t]*(['"]?)(?P<name>.*?)\1[ \t]*(?:#.*)?$""")
_INTEGRATION: Final = re.compile(r"^[a-z0-9]+_configs:")


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
    known = integrations(alertmanager.configuration())
    for receiver in routed:
        if receiver not in known:
            raise Inconclusive(
                say("Alertmanager: receiver {receiver} is not in its configuration as it reports it", receiver=receiver)
            )
    if not any(known[receiver] for receiver in routed):
        return say("receiver: {receivers} has no integration, it notifies nobody", receivers=", ".join(routed))
    return None


def integrations(configuration: str) -> Mapping[str, int]:
    """How many kinds of integration each receiver of an alertmanager.yml has.

    Raises Inconclusive for a file whose receivers are not one item a line, as Alertmanager's own examples are.
    """
    start = _RECEIVERS.search(configuration)
    if start is None:
        raise Inconclusive(say("Alertmanager: no list of receivers could be read in its configuration"))
    found: dict[str, int] = {}
    current: str | None = None
    indent: str | None = None
    count = 0
    for line in configuration[start.end() :].splitlines():
        if line.strip() and not line[0].isspace() and not line.startswith(("-", "#")):
            break  # the next key of the file
        item = _ITEM.match(line)
        if item and indent in (None, item["indent"]):
            if current is not None:
                found[current] = count
            indent, current, count = item["indent"], None, 0
            text = item["rest"]
        else:
            text = line.strip()
        if named := _NAME.match(text):
            current = current or named["name"]
        elif _INTEGRATION.match(text) and not text.rstrip().endswith("[]"):
            count += 1
    if current is not None:
        found[current] = count
    if not found:
        raise Inconclusive(say("Alertmanager: no list of receivers could be read in its configuration"))
    return found
