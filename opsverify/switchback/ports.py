"""Ports of a region that must be closed: a refusal proves it, no answer proves it only behind a firewall that drops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.config.regions import Region
    from opsverify.probes.tcp import PortAnswer


@dataclass(frozen=True)
class ClosedPorts:
    """Ports that are open though they must not be, and those of which nothing is known, as `address:port`."""

    opened: tuple[str, ...]
    unproven: tuple[str, ...]


def closed_ports(region: Region, answer: Callable[[str, str], PortAnswer]) -> ClosedPorts:
    """Ask each port of `region.closed`; without an answer it counts as closed where the firewall is said to drop."""
    answers = {entry: answer(*entry.rsplit(":", 1)) for entry in region.closed}
    silent = () if region.firewall_drops else tuple(entry for entry in answers if answers[entry] == "no answer")
    return ClosedPorts(tuple(entry for entry in answers if answers[entry] == "open"), silent)
