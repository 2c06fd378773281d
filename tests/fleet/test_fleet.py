"""Fleet on this machine: real units on threads of Dask, each a real `opsverify verify` with its own evidence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.cli.main import main
from opsverify.evidence.signature import verify_run
from opsverify.fleet.plan import FleetPlan
from opsverify.fleet.unit import UnitOrder, run_unit
from tests.support.ending import DEADLINE_S as ENDS_WITHIN_S
from tests.support.fleet_services import PlantServer, kill_run, plant_server
from tests.support.fleets import made_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PLANTS: Final = ("plant-a", "plant-b", "plant-c")


@pytest.fixture
def plants() -> Iterator[PlantServer]:
    """The services of the fleet."""
    with plant_server() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, plants: PlantServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three plants; it is the working directory."""
    for name in PLANTS:
        plants.target(tmp_path / "targets" / "plants", name)
    (tmp_path / "runbook.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fleet(project: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict of a fleet over every plant, a daily one."""
    code = main(["fleet", "daily", "--targets", "targets/plants/*.toml", "--report-dir", "fleets", *more])
    path = project / "fleets" / "latest" / "fleet-verdict.json"
    return code, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def of(verdict: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """State and decision of each target."""
    return {unit["target"]: (unit["state"], unit["decision"]) for unit in verdict["units"]}


def test_every_unit_is_a_sealed_run_of_its_own(project: Path, plants: PlantServer) -> None:
    """Each folder verifies alone and names fleet, plan and unit; one that is rejected rejects the fleet."""
    plants.sick.add("plant-b")
    code, verdict = fleet(project, "--workers", "2")
    assert (code, verdict["decision"]) == (1, "reject")
    decisions = {"plant-a": "accept", "plant-b": "reject", "plant-c": "accept"}
    assert of(verdict) == {name: ("delivered", decision) for name, decision in decisions.items()}
    for number, name in enumerate(decisions):
        unit = project / "fleets" / "latest" / "units" / name
        assert verify_run(unit, None).problems == ()
        started = json.loads((unit / "origin.json").read_text(encoding="utf-8"))["started_by"]
        assert (started["run"], started["unit"]) == (verdict["fleet"], str(number))
        assert started["plan"] == verdict["plan_sha256"]


def test_a_killed_unit_is_missing_by_name_and_the_others_stand(
    project: Path, plants: PlantServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in the middle of its check: hold, and it is not started again."""
    plants.when_asked["plant-b"] = lambda: kill_run(project / "fleets" / "latest" / "units" / "plant-b")
    code, verdict = fleet(project)
    assert (code, verdict["decision"]) == (10, "hold")
    assert of(verdict) == {
        "plant-a": ("delivered", "accept"), "plant-b": ("missing", "hold"), "plant-c": ("delivered", "accept"),
    }  # fmt: skip
    assert verdict["reasons"][0].startswith("plant-b: missing: no verdict.json")
    assert plants.asked.count("plant-b") == 1
    assert "plant-b: exit 3 (opsverify: no verdict, hold (exit 3)" in capsys.readouterr().out


def test_an_interrupted_fleet_ends_its_units(project: Path, plants: PlantServer) -> None:
    """SIGTERM while a unit asks its service: 2, that unit's verdict is a hold, what had not begun is missing."""
    asked, hold = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        hold.wait(600)

    plants.when_asked["plant-a"] = wait
    argv = [sys.executable, "-m", "opsverify", "fleet", "daily", "--targets", "targets/plants/*.toml"]
    process = subprocess.Popen([*argv, "--report-dir=fleets", "--workers=1"], cwd=project, stdout=subprocess.PIPE)
    try:
        assert asked.wait(ENDS_WITHIN_S)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=ENDS_WITHIN_S)
    finally:
        hold.set()  # no earlier: with its answer the unit would end by itself, before the signal comes to it
    assert process.returncode == 2
    verdict = json.loads((project / "fleets" / "latest" / "fleet-verdict.json").read_text(encoding="utf-8"))
    assert of(verdict)["plant-a"] == ("delivered", "hold")
    assert of(verdict)["plant-c"] == ("missing", "hold")
    assert "plant-c" not in plants.asked


def test_one_unit_as_a_pod_runs_it(project: Path, plants: PlantServer) -> None:
    """`--plan-only`, then `--unit N` as a process of its own: its exit code is the run's, and it runs once."""
    assert fleet(project, "--plan-only")[0] == 0
    assert plants.asked == []
    plan = project / "fleets" / "latest" / "fleet-plan.json"
    codes = [unit_code(project, plan, number) for number in (0, 1, 2, 2, 3)]
    assert codes == [0, 0, 0, 10, 4]
    assert plants.asked == ["plant-a", "plant-b", "plant-c"]
    assert main(["merge", str(plan)]) == 0


def unit_code(project: Path, plan: Path, number: int, *more: str) -> int:
    """The exit code of one unit's process."""
    argv = [sys.executable, "-m", "opsverify", "fleet", str(plan), f"--unit={number}", *more]
    return subprocess.run(
        argv, cwd=project, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


def test_a_unit_whose_target_was_changed_is_not_begun(project: Path, plants: PlantServer) -> None:
    """Nothing is asked, no folder is made; the merge then misses it."""
    fleet(project, "--plan-only")
    with (project / "targets" / "plants" / "plant-a.toml").open("a", encoding="utf-8") as file:
        file.write("# later\n")
    plan = project / "fleets" / "latest" / "fleet-plan.json"
    assert unit_code(project, plan, 0, "--report-dir=elsewhere") == 10
    assert plants.asked == []
    assert not (project / "elsewhere").exists()


def test_a_unit_of_another_version_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was not upgraded refuses."""
    made = made_fleet(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    order = UnitOrder.of(made.plan, 0)
    other = UnitOrder(**{**vars(order), "opsverify": "0.0.9"})
    end = run_unit(other, str(tmp_path / "units"), 60.0)
    assert end.exit_code is None
    assert "not what was planned: opsverify" in str(end.trouble)
    assert not (tmp_path / "units").exists()


def test_a_unit_that_takes_too_long_is_ended(project: Path, plants: PlantServer) -> None:
    """It holds, and the fleet names it; no plant answers while it runs, so that none is ever fast enough."""
    hold = threading.Event()
    plants.when_asked |= {name: lambda: hold.wait(600) for name in PLANTS}
    try:
        code, verdict = fleet(project, "--timeout=1s", "--workers=1")
    finally:
        hold.set()
    assert code == 10
    assert {decision for _, decision in of(verdict).values()} == {"hold"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["daily"], "missing --targets"),
        (["daily", "--targets", "targets/none/*.toml"], "--targets targets/none/*.toml: no such file"),
        (["dayly", "--targets", "targets/plants/*.toml"], "did you mean 'daily'?"),
        (["daily", "--unit", "0"], "--unit: needs a fleet-plan.json"),
        (["daily", "--targets", "targets/plants/*.toml", "--workers", "0"], "--workers 0"),
        (["daily", "--targets", "targets/plants/*.toml", "--timeout", "soon"], "--timeout"),
        (["daily", "--targets", "targets/plants/*.toml", "--cluster", "tcp://10.0.0.1:8786"], "tcp:// only on"),
        (["daily", "--targets", "targets/plants/*.toml", "--cluster", "tcp://127.example.com:1"], "tcp:// only on"),
        (["daily", "--targets", "targets/plants/*.toml", "--cluster", "tls://10.0.0.1:8786"], "missing --tls-ca"),
        (["daily", "--targets", "targets/plants/*.toml", "--cluster", "ws://10.0.0.1:8786"], "expected tls://"),
        (["daily", "--targets", "targets/plants/*.toml", "--cluster", "tls://10.0.0.1"], "expected tls://HOST:PORT"),
        (["daily", "--targets", "targets/plants/*.toml", "--tls-ca", "x"], "belongs to --cluster"),
        (["none.json"], "none.json: cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_exit_4_and_plans_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    """One line, before anything is written."""
    assert main(["fleet", *arguments, "--report-dir", "fleets"]) == 4
    written = capsys.readouterr().err
    assert line in written
    assert written.count("\n") == 1
    assert not (project / "fleets").exists()


def test_two_targets_of_one_name_are_refused(
    project: Path, plants: PlantServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their evidence could not be told apart; a file that two patterns name is one target."""
    plants.target(project / "targets" / "lines", "plant-a")
    both = ["fleet", "daily", "--plan-only", "--report-dir", "fleets", "--targets"]
    assert main([*both, "targets/plants/*.toml", "targets/lines/*.toml"]) == 4
    assert "target 'plant-a': in targets/lines/plant-a.toml, targets/plants/plant-a.toml" in capsys.readouterr().err
    assert main([*both, "targets/plants/*.toml", "targets/plants/plant-a.toml"]) == 0
    plan = json.loads((project / "fleets" / "latest" / "fleet-plan.json").read_text(encoding="utf-8"))
    assert [unit["target"] for unit in plan["units"]] == ["plant-a", "plant-b", "plant-c"]


def test_every_fault_of_every_target_is_named_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing runs while one target is wrong."""
    for name in ("plant-a", "plant-c"):
        (project / "targets" / "plants" / f"{name}.toml").write_text("nonsense = 1\n", encoding="utf-8")
    assert fleet(project) == (4, {})
    written = capsys.readouterr().err
    assert "plant-a.toml: nonsense: unknown key" in written
    assert "plant-c.toml: nonsense: unknown key" in written


def test_without_the_extra_one_line_says_what_to_install(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 4 and no plan; `--plan-only`, `--unit` and `merge` need none of it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert fleet(project) == (4, {})
    assert capsys.readouterr().err == (
        "opsverify: fleet needs dask, distributed; type: pip install 'opsverify[fleet]'\n"
    )
    assert fleet(project, "--plan-only")[0] == 0


def test_a_plan_is_the_same_wherever_the_project_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in targets are left out of the sum by which a verdict is compared: a pod mounts the project elsewhere."""
    here, there = (made_fleet(tmp_path / name, 2) for name in ("here", "there"))
    monkeypatch.chdir(tmp_path)
    assert [vars(unit) for unit in here.plan.units] == [vars(unit) for unit in there.plan.units]
    assert os.fspath(tmp_path) not in here.plan_file.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--target=other.toml", "--report-dir=/tmp", "-k", "--", 1])
def test_a_plan_names_no_option_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: object) -> None:
    """Only options of a run that `opsverify fleet` takes: a plan comes from elsewhere, and its options become argv."""
    made = made_fleet(tmp_path, 1)
    plan = json.loads(made.plan_file.read_text(encoding="utf-8"))
    plan["options"] = ["--window=12m", option]
    made.plan_file.write_text(json.dumps(plan), encoding="utf-8")
    assert main(["fleet", str(made.plan_file), "--unit=0"]) == 4
    assert "no plan of a fleet" in capsys.readouterr().err


def test_options_of_the_stage_are_part_of_the_plan(project: Path) -> None:
    """Every unit gets them, whoever starts it."""
    assert fleet(project, "--plan-only", "--window=12m", "--allow-short-window")[0] == 0
    plan = FleetPlan.load(project / "fleets" / "latest" / "fleet-plan.json")
    argv = UnitOrder.of(plan, 1).begin(project / "unit")
    assert argv[-2:] == ["--window=12m", "--allow-short-window"]
    assert argv[4:6] == ["verify", "daily"]
    assert f"--target={project / 'targets' / 'plants' / 'plant-b.toml'}" in argv
