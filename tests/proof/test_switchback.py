"""The proof of the way back: two real regions through an incident, and every fault turns its checks red."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

from sandbox import network
from sandbox.regions.ground import SERVICES
from sandbox.regions.pair import Regions
from tests.proof.fault_table import Row, region_rows
from tests.proof.regions_way import RegionsOnTheirWay

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.random_order(disabled=True)
"""The rows follow one incident, which goes one way: `after` says how far."""


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegionsOnTheirWay]:
    """Both regions, up."""
    folder = tmp_path_factory.mktemp("regions")
    with Regions(folder / "home", network.free_port_base(len(SERVICES))) as regions:
        yield RegionsOnTheirWay(regions, folder)


@pytest.mark.parametrize("row", region_rows(), ids=attrgetter("name"))
def test_exactly_the_declared_checks_turn_red(row: Row, way: RegionsOnTheirWay) -> None:
    """Healthy, all pass; with the row's fault, the declared checks are red, and no others."""
    way.reach(row.after or "")
    with way.fault(row.fault):
        run = way.verify(row.stage)
    wrong = row.wrong(run.reds)
    assert not wrong, f"{row.name}:\n" + "\n".join([*wrong, run.story])
    assert run.exit_code == row.exit_code, run.story
    if row.says:
        assert any(re.search(row.says, reason) for reason in run.verdict["reasons"]), run.story
