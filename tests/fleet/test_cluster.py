"""Fleet on a cluster of Dask: a real scheduler and real workers over TLS; one of them is lost in the middle."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import psutil

from opsverify.cli.main import main
from sandbox.certificates import Authority
from tests.support.dask_cluster import client_options, dask_cluster
from tests.support.fleet_services import plant_server

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FLEET = ["fleet", "daily", "--targets", "targets/*.toml", "--report-dir", "fleets"]


def _lose_machine(folder: Path) -> None:
    """End the run that writes to `folder`, its command line and the worker that started it, as the loss of a node does.

    The run first: of a worker that is killed alone, the unit may still end, and its sealed verdict then counts.
    """
    run = psutil.Process(json.loads((folder / "run.json").read_text(encoding="utf-8"))["pid"])
    command, worker = run.parents()[:2]
    for process in (run, command, worker):
        os.kill(process.pid, signal.SIGKILL)


def test_a_lost_worker_takes_its_unit_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That unit holds by name and is asked once; the others are run by the worker that is left, and stand."""
    project = tmp_path / "project"
    with plant_server() as plants:
        for name in ("plant-a", "plant-b", "plant-c"):
            plants.target(project / "targets", name)
        (project / "runbook.toml").touch()
        monkeypatch.chdir(project)
        plants.when_asked["plant-b"] = lambda: _lose_machine(project / "fleets" / "latest" / "units" / "plant-b")
        with dask_cluster(tmp_path / "tls", project, workers=2) as cluster:
            assert main([*FLEET, *cluster.options]) == 10
        verdict = json.loads((project / "fleets" / "latest" / "fleet-verdict.json").read_text(encoding="utf-8"))
        decisions = {unit["target"]: unit["decision"] for unit in verdict["units"]}
        assert decisions == {"plant-a": "accept", "plant-b": "hold", "plant-c": "accept"}
        assert verdict["reasons"][0].startswith("plant-b: missing: no verdict.json")
        assert plants.asked.count("plant-b") == 1


def test_a_scheduler_that_would_repeat_a_unit_and_a_stranger_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its setting is asked for before anything runs; with a certificate of another authority there is no connection."""
    project = tmp_path / "project"
    with plant_server() as plants:
        plants.target(project / "targets", "plant-a")
        (project / "runbook.toml").touch()
        monkeypatch.chdir(project)
        with dask_cluster(tmp_path / "tls", project, 0, allowed_failures=3) as cluster:
            assert main([*FLEET, *cluster.options]) == 4
            assert "starts a lost unit again up to 3 times" in capsys.readouterr().err
            monkeypatch.setattr("opsverify.fleet.cluster._CONNECT", "3s")  # no longer for who is refused
            stranger = client_options(tmp_path / "stranger", Authority.create("other"), cluster.authority)
            assert main([*FLEET, f"--cluster={cluster.address}", *stranger]) == 4
            assert "no connection" in capsys.readouterr().err
        assert plants.asked == []
