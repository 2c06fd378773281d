"""Merge: one verdict over many sealed folders; what is missing, doubled, altered or of no unit holds it, by name."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.cli.main import main
from opsverify.config.digest import one_digest
from opsverify.core.stages import Decision
from opsverify.evidence.chain import append
from opsverify.evidence.target_state import TargetState
from opsverify.fleet.delivery import DeliveryState, Verifier
from tests.fleet.merging import GREEN, merged, states
from tests.support.fleets import CREATED, MadeFleet, made_fleet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_all_green_is_green(fleet: MadeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Every unit delivered once and accepted: accept, 0; the page is there and names nobody as red."""
    code, verdict = merged(fleet, *(fleet.unit(number) for number in range(3)))
    assert (code, verdict["decision"], verdict["delivered"]) == (0, "accept", 3)
    assert states(verdict) == [GREEN] * 3
    assert verdict["reasons"] == []
    assert "daily on 3 targets: ACCEPT  (exit 0; 3 of 3 units delivered)" in capsys.readouterr().out
    assert (fleet.folder / "fleet.html").stat().st_size


@pytest.mark.parametrize("stage", ["daily", "staging"])
def test_one_reject_rejects_also_where_another_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """As one failed check fails a run; every unit that is not green is named, the rejected one first."""
    fleet = made_fleet(tmp_path / "project", 3, stage=stage)
    monkeypatch.chdir(fleet.project)
    code, verdict = merged(fleet, fleet.unit(0), fleet.unit(2, "reject"))
    red = "reject" if stage == "daily" else "rollback"
    assert (code, verdict["decision"]) == (1, red)
    assert [reason.partition(": ")[0] for reason in verdict["reasons"]] == ["plant-0002", "plant-0001"]
    assert verdict["reasons"][0] == f"plant-0002: {red}: health.redis: measured 3, limit <= 2"
    assert verdict["reasons"][1].startswith("plant-0001: missing")


def test_a_missing_unit_holds_by_name(fleet: MadeFleet) -> None:
    """The others stand."""
    code, verdict = merged(fleet, fleet.unit(0), fleet.unit(1))
    assert (code, verdict["decision"]) == (10, "hold")
    assert states(verdict) == [GREEN, GREEN, ("missing", "hold")]
    assert verdict["reasons"] == ["plant-0002: missing: no run of this unit was delivered"]


def test_nothing_delivered_holds(fleet: MadeFleet) -> None:
    """An empty glob is no accepted fleet; a pattern that the shell left alone is a folder without a verdict."""
    code, verdict = merged(fleet, fleet.folder / "units" / "*")
    assert (code, verdict["delivered"]) == (10, 0)
    assert [state for state, _ in states(verdict)] == ["missing"] * 3
    assert [entry["state"] for entry in verdict["refused"]] == ["no_verdict"]


def test_a_unit_without_verdict_is_missing_and_names_its_folder(fleet: MadeFleet) -> None:
    """What a killed run leaves; its origin says whose it was."""
    killed = fleet.unit(1)
    (killed / "verdict.json").unlink()
    code, verdict = merged(fleet, fleet.unit(0), killed, fleet.unit(2))
    assert code == 10
    assert states(verdict) == [GREEN, ("missing", "hold"), GREEN]
    assert verdict["reasons"] == [
        "plant-0001: missing: no verdict.json: the run did not end (folder plant-0001)",
    ]


def test_a_repeated_unit_with_another_result_holds(fleet: MadeFleet) -> None:
    """Red until green proves nothing: both runs are named; the same run in two places counts once."""
    first, again = fleet.unit(1, "reject"), fleet.unit(1, name="again", ended=5)
    copy = shutil.copytree(fleet.unit(0), fleet.folder / "copy")
    code, verdict = merged(fleet, fleet.folder / "units" / "plant-0000", copy, first, again, fleet.unit(2))
    assert (code, verdict["decision"]) == (10, "hold")
    assert states(verdict) == [GREEN, ("doubled", "hold"), GREEN]
    for run_id in ("20261128T060100Z-daily-0001 (reject)", "20261128T060600Z-daily-0001 (accept)"):
        assert run_id in verdict["reasons"][0]


ALTERATIONS: dict[str, Callable[[Path], object]] = {
    "verdict": lambda folder: _replace(folder / "verdict.json", "reject", "accept"),
    "plan": lambda folder: _replace(folder / "plan.json", "health.redis", "health.other"),
    "origin": lambda folder: _replace(folder / "origin.json", '"unit": "1"', '"unit": "2"'),
    "additional": lambda folder: (folder / "more.txt").write_text("x"),
    "no manifest": lambda folder: (folder / "manifest.sha256").unlink(),
    "no json": lambda folder: (folder / "verdict.json").write_text("[" * 100_000),
    "a list": lambda folder: (folder / "verdict.json").write_text("[]"),
    "a link": lambda folder: _link(folder / "verdict.json"),
}


def _link(path: Path) -> None:
    path.symlink_to(path.rename(path.parent.parent / "elsewhere.json"))


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS.keys())
def test_an_altered_folder_holds_by_name(fleet: MadeFleet, alter: Callable[[Path], object]) -> None:
    """Whatever was changed: the folder counts for nothing, and the fleet is held."""
    altered = fleet.unit(1, "reject")
    alter(altered)
    code, verdict = merged(fleet, fleet.unit(0), altered, fleet.unit(2))
    assert (code, verdict["decision"]) == (10, "hold")
    assert states(verdict)[0] == states(verdict)[2] == GREEN
    assert verdict["units"][1]["decision"] == "hold"
    assert any("plant-0001" in reason for reason in verdict["reasons"])
    assert verdict["refused"][0]["state"] == "altered"


def test_an_altered_copy_beside_the_whole_one_holds(fleet: MadeFleet) -> None:
    """Somebody changed something: which one counts is for a person to say."""
    whole = [fleet.unit(number) for number in range(3)]
    copy = shutil.copytree(whole[1], fleet.folder / "copy")
    (copy / "origin.json").write_text("{}")
    code, verdict = merged(fleet, *whole, copy)
    assert (code, states(verdict)) == (10, [GREEN] * 3)
    assert verdict["reasons"][0].startswith("plant-0001: altered: origin.json: altered")


def test_a_verdict_that_its_checks_contradict_holds(fleet: MadeFleet) -> None:
    """Sums alone can be made anew; the decision must still be what its checks come to."""
    forged = fleet.unit(1, "reject", outcome="pass", exit_code=0)
    code, verdict = merged(fleet, fleet.unit(0), forged, fleet.unit(2))
    assert code == 10
    assert verdict["reasons"] == ["plant-0001: altered: pass, which its checks contradict (folder plant-0001)"]


def test_a_run_that_was_made_anew_shows_by_the_state_of_its_target(fleet: MadeFleet) -> None:
    """Without a key, this machine still knows the sum that was sealed."""
    folders = [fleet.unit(number) for number in range(3)]
    state = TargetState.of(fleet.project / "reports", "plant-0001")
    state.folder.mkdir(parents=True)
    run_id = json.loads((folders[1] / "verdict.json").read_text(encoding="utf-8"))["run_id"]
    append(state.runs, {"event": "begun", "run_id": run_id, "folder": str(folders[1]), "stage": "daily"})
    append(state.runs, {"event": "finished", "run_id": run_id, "decision": "reject", "verdict_sha256": "0" * 64})
    code, verdict = merged(fleet, *folders)
    assert (code, states(verdict)) == (10, [GREEN, ("altered", "hold"), GREEN])
    assert "holds another sum (decided reject)" in verdict["reasons"][0]


def _yesterday(fleet: MadeFleet) -> Path:
    other = made_fleet(fleet.project, 3, created=CREATED - dt.timedelta(days=1))
    return other.unit(1)


OTHERS: dict[str, tuple[str, Callable[[MadeFleet], Path]]] = {
    "yesterday's": ("of another plan (", _yesterday),
    "by itself": ("run by itself", lambda fleet: fleet.unit(1, origin={"started_by": {"pipeline": None, "by": "kim"}})),
    "version": ("by opsverify 0.0.9, the plan is of ", lambda fleet: fleet.unit(1, origin=_version("0.0.9"))),
    "stage": ("of stage weekly, the plan is of daily", lambda fleet: fleet.unit(1, stage="weekly")),
    "target": ("target was changed after", lambda fleet: fleet.unit(1, **_keys(fleet))),
    "suites": ("another suites than the plan's", lambda fleet: fleet.unit(1, bound=_bound(fleet, suites="0" * 64))),
    "runbook": ("another runbook than the plan's", lambda fleet: fleet.unit(1, bound=_bound(fleet, runbook="0" * 64))),
}


def _version(version: str) -> dict[str, Any]:
    return {"versions": {"opsverify": version}}


def _bound(fleet: MadeFleet, **changes: str) -> dict[str, str]:
    example = json.loads((fleet.unit(1, name="example") / "verdict.json").read_text(encoding="utf-8"))
    return {**example["bound"], **changes}


def _keys(fleet: MadeFleet) -> dict[str, Any]:
    example = json.loads((fleet.unit(1, name="example") / "verdict.json").read_text(encoding="utf-8"))
    keys = {**example["target_keys"], "limits.error_rate": "0" * 64}
    return {"target_keys": keys, "bound": {**example["bound"], "target": one_digest(keys)}}


@pytest.mark.parametrize(("why", "make"), OTHERS.values(), ids=OTHERS.keys())
def test_a_run_of_another_plan_or_version_holds(fleet: MadeFleet, why: str, make: Callable[[MadeFleet], Path]) -> None:
    """It is green, whole and of the right target; it is not what was planned."""
    code, verdict = merged(fleet, fleet.unit(0), make(fleet), fleet.unit(2))
    assert code == 10
    assert states(verdict) == [GREEN, ("other_plan", "hold"), GREEN]
    assert why in verdict["reasons"][0]
    assert verdict["reasons"][0].startswith("plant-0001: of another plan: ")


def test_a_foreign_unit_holds(fleet: MadeFleet, tmp_path: Path) -> None:
    """A target that the plan does not name, and a unit that is another target's."""
    other = made_fleet(tmp_path / "other", 4)
    wrong = fleet.unit(
        1, origin={"started_by": {"pipeline": "OPSVERIFY_FLEET", "plan": fleet.plan.sha256, "unit": "2"}}
    )
    code, verdict = merged(fleet, fleet.unit(0), wrong, fleet.unit(2), other.unit(3))
    assert code == 10
    assert states(verdict)[1] == ("foreign", "hold")
    assert {(entry["state"], entry["target"]) for entry in verdict["refused"]} == {
        ("foreign", None), ("foreign", "plant-0001"),
    }  # fmt: skip
    assert "target 'plant-0003' is not in the plan" in "\n".join(verdict["reasons"])


def test_a_plan_from_which_a_target_was_taken_out_holds(fleet: MadeFleet) -> None:
    """The red plant cannot be left out afterwards: every unit carries the sum of the plan it belongs to."""
    delivered = [fleet.unit(0), fleet.unit(1), fleet.unit(2, "reject")]
    plan = json.loads(fleet.plan_file.read_text(encoding="utf-8"))
    plan["units"].pop()
    fleet.plan_file.write_text(json.dumps(plan), encoding="utf-8")
    code, verdict = merged(fleet, *delivered[:2])
    assert code == 10
    assert states(verdict) == [("other_plan", "hold")] * 2


def test_a_unit_that_ended_with_another_code_is_a_hold(fleet: MadeFleet) -> None:
    """Accepted and then interrupted: the process did not say accept."""
    code, verdict = merged(fleet, fleet.unit(0), fleet.unit(1, exit_code=2), fleet.unit(2))
    assert (code, states(verdict)[1]) == (10, ("delivered", "hold"))
    assert verdict["reasons"] == ["plant-0001: hold: the run ended with exit code 2"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "opsverify.fleet-plan/1"}', None])
def test_what_is_no_plan_is_one_line_and_exit_4(
    fleet: MadeFleet, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    """Nothing is written."""
    fleet.plan_file.unlink()
    if content is not None:
        fleet.plan_file.write_text(content, encoding="utf-8")
    assert main(["merge", str(fleet.plan_file), str(fleet.unit(0))]) == 4
    assert capsys.readouterr().err.count("\n") == 1
    assert not (fleet.folder / "fleet-verdict.json").exists()


def test_one_line_a_unit_is_kept(fleet: MadeFleet) -> None:
    """A verdict of many megabytes leaves a line of bounded length: nothing else of the folder is reachable."""
    heavy = fleet.unit(0, "reject", reasons=["x" * 2_000_000], notes=["y" * 2_000_000])
    verifier = Verifier(fleet.plan, (), CREATED + dt.timedelta(days=1), fleet.project / "reports")
    delivery = verifier.deliver(heavy)
    assert (delivery.state, delivery.decision) == (DeliveryState.DELIVERED, Decision.REJECT)
    assert sum(len(str(value)) for value in vars(delivery).values()) < 2000
    assert len(delivery.message.ko) < 1000


def test_merge_knows_nothing_of_dask() -> None:
    """Neither it nor what it imports: any scheduler of containers delivers folders."""
    program = "import sys, opsverify.cli.merge; print(sorted({'dask', 'distributed'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
