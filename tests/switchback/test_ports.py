"""Ports that must be closed: what a refusal, an answer and no answer prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.regions import Region
from opsverify.switchback.ports import ClosedPorts, closed_ports

if TYPE_CHECKING:
    from opsverify.probes.tcp import PortAnswer

ANSWERS: dict[str, PortAnswer] = {"22": "refused", "5432": "open", "6379": "no answer"}


@pytest.mark.parametrize(("drops", "unproven"), [(False, ("[2001:db8::1]:6379",)), (True, ())])
def test_no_answer_proves_a_closed_port_only_behind_a_firewall_that_drops(
    drops: bool,  # noqa: FBT001 - a row
    unproven: tuple[str, ...],
) -> None:
    """An open port is open in either case; a refusal is proof."""
    region = Region.model_validate(
        {
            "marker": "icn",
            "addresses": ("203.0.113.10",),
            "database": {"host": "db", "dbname": "judgment", "login": {"user": "ro"}},
            "closed": ("203.0.113.10:22", "203.0.113.10:5432", "[2001:db8::1]:6379"),
            "firewall_drops": drops,
        }
    )
    found = closed_ports(region, lambda _host, port: ANSWERS[port])
    assert found == ClosedPorts(("203.0.113.10:5432",), unproven)
