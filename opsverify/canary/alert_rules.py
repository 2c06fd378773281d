"""Alerting rules of a platform: whether any alert could have fired in a window at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.language.message import say
from opsverify.metrics.signal_meaning import LOOKED_BACK
from opsverify.probes.source_fault import SourceFault, Unanswered

if TYPE_CHECKING:
    from opsverify.probes.prometheus import Prometheus


def nothing_fires(prometheus: Prometheus) -> str | None:
    """Why no alert says nothing: none is evaluated; None where rules are loaded, or any alert was seen of late.

    Where another server evaluates the rules (Thanos, Mimir, vmalert), this one may not list them, but has the series
    `ALERTS`. Raises SourceFault without an answer.
    """
    try:
        loaded = any(rule.state for rule in prometheus.rules())
    except Unanswered:
        raise
    except SourceFault:
        loaded = False  # a server without that endpoint
    if loaded or prometheus.known("ALERTS", LOOKED_BACK):
        return None
    return say(
        "no alert could fire: no alerting rule is loaded in Prometheus, and no ALERTS in {span}; check rule_files, or, "
        "where another server evaluates them, let one fire always (Watchdog)",
        span=LOOKED_BACK,
    )
