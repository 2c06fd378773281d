"""Order of deliveries: none changes a byte of the verdict, and only a whole green fleet is green."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from opsverify.cli.main import main
from opsverify.core.stages import Decision
from opsverify.fleet.delivery import DeliveryState, UnitDelivery
from opsverify.fleet.merge import FleetMerge
from opsverify.fleet.plan import FleetPlan, FleetUnit
from opsverify.fleet.seal import dumps
from opsverify.language.message import Message
from tests.support.fleets import CREATED, made_fleet

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_verdict_is_the_same_bytes_in_every_order_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real folders: green, red, repeated, altered, without verdict, foreign and of another plan; verdict and page."""
    fleet, earlier = made_fleet(tmp_path, 3), made_fleet(tmp_path, 4, created=CREATED - dt.timedelta(days=1))
    monkeypatch.chdir(tmp_path)
    folders = [fleet.unit(0), shutil.copytree(fleet.folder / "units" / "plant-0000", fleet.folder / "copy")]
    folders += [fleet.unit(1, "reject"), fleet.unit(1, name="again", ended=5), earlier.unit(1), earlier.unit(3)]
    folders += [fleet.unit(2), fleet.unit(2, name="altered", ended=2), fleet.unit(2, name="killed", ended=3)]
    (folders[-2] / "origin.json").write_text("{}")
    (folders[-1] / "verdict.json").unlink()
    found = set()
    for turn in range(6):
        folders = [*folders[turn:], *reversed(folders[:turn])]
        main(["merge", str(fleet.plan_file), *map(str, folders)])
        found.add((fleet.folder / "fleet-verdict.json").read_bytes() + (fleet.folder / "fleet.html").read_bytes())
    assert len(found) == 1


_UNITS = 4
_DELIVERIES = st.builds(
    UnitDelivery,
    state=st.sampled_from(
        [*[DeliveryState.DELIVERED] * 4, DeliveryState.ALTERED, DeliveryState.OTHER_PLAN, DeliveryState.NO_VERDICT]
    ),
    folder=st.sampled_from("ab"),
    unit=st.integers(0, _UNITS - 1),
    message=st.sampled_from([Message.of("one", "하나"), Message.of("two", "둘")]),
    decision=st.sampled_from([Decision.ACCEPT, Decision.REJECT, Decision.HOLD]),
    run_id=st.sampled_from("xyzuvw"),
    finished_at=st.just("2026-11-28T06:01:00.000Z"),
    verdict_sha256=st.just(""),
)


def _as_made(delivery: UnitDelivery) -> UnitDelivery:
    """One run has one verdict, and one text."""
    if delivery.state is not DeliveryState.DELIVERED:
        return delivery
    decision = [Decision.ACCEPT, Decision.REJECT, Decision.HOLD][ord(delivery.run_id) % 3]
    message = Message.of(f"of {delivery.run_id}", f"{delivery.run_id}의 사유")
    return UnitDelivery(
        delivery.state, delivery.folder, delivery.unit, message, decision, delivery.run_id, delivery.finished_at,
        delivery.run_id * 64,
    )  # fmt: skip


@given(deliveries=st.lists(_DELIVERIES, max_size=12).map(lambda made: [*map(_as_made, made)]), data=st.data())
def test_no_order_changes_a_byte(deliveries: list[UnitDelivery], data: st.DataObject) -> None:
    """Any deliveries, any permutation, any of them twice; and green only when each unit is there once and green."""
    units = tuple(FleetUnit(number, f"t{number}", "f", "0", "0") for number in range(_UNITS))
    plan = FleetPlan("20261128T060000Z-daily-0000", "daily", "2026-11-28T06:00:00.000Z", "1", "r", "s", (), units, "0")
    again = data.draw(st.permutations([*deliveries, *deliveries[:3]]))
    texts = []
    for order in (deliveries, again):
        merge = FleetMerge(plan)
        for delivery in order:
            merge.add(delivery)
        texts.append(dumps(merge.verdict()))
    assert texts[0] == texts[1]
    runs = {(delivery.unit, delivery.run_id): delivery.decision for delivery in deliveries}
    whole = all(delivery.state is DeliveryState.DELIVERED for delivery in deliveries)
    green = whole and len(runs) == _UNITS == len({unit for unit, _ in runs}) and {*runs.values()} == {Decision.ACCEPT}
    assert (json.loads(texts[0])["exit_code"] == 0) == green
