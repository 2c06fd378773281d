"""Faults of the server's file: each is an answer to ask again, the next request works, and no run stays open."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gate_server import GateProject, LiveGate, plain, project_in, served, until

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.serve.run_queue import QueueSettings

WHO = {"who": "Kim", "why": "stop it"}
LOCKED = sqlite3.OperationalError("database is locked")


class Faulty:
    """A connection on which the first statements of a kind fail."""

    def __init__(self, connection: sqlite3.Connection, **faults: int) -> None:
        self._connection, self._faults = connection, faults

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:  # noqa: ANN401 - the connection's
        """Execute it, or fail."""
        kind = statement.split(maxsplit=1)[0]
        if self._faults.get(kind, 0):
            self._faults[kind] -= 1
            raise LOCKED
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the connection's
        return getattr(self._connection, name)


@dataclass
class PatientProject(GateProject):
    """A project whose queue tries again after `retry_s`."""

    retry_s: float = 0.01

    @property
    def settings(self) -> QueueSettings:
        """As those of every project of these tests."""
        return replace(super().settings, retry_s=self.retry_s)


@pytest.fixture
def project(tmp_path: Path) -> PatientProject:
    """A project whose queue tries again at once."""
    return PatientProject(project_in(tmp_path / "project"))


def asked(checksum: str) -> dict[str, Any]:
    """A request for a run of a release of its own."""
    return {"stage": "prod-canary", "target": "prod", "release": {"name": checksum, "checksum": checksum}}


def failing(live: LiveGate, monkeypatch: pytest.MonkeyPatch, method: str, times: int) -> list[str]:
    """Let a method of the store fail so many times; the runs that it failed for."""
    store, failed = live.gate.store, list[str]()
    works = getattr(store, method)

    def first_fails(run_id: str, *values: Any, **named: Any) -> Any:  # noqa: ANN401 - the method's
        if len(failed) < times:
            failed.append(run_id)
            raise LOCKED
        return works(run_id, *values, **named)

    monkeypatch.setattr(store, method, first_fails)
    return failed


@pytest.mark.parametrize("faults", [{"COMMIT": 1}, {"COMMIT": 1, "ROLLBACK": 1}, {"INSERT": 1}, {"BEGIN": 1}])
def test_a_change_that_fails_is_none(live: LiveGate, project: GateProject, faults: dict[str, int]) -> None:
    """503 that says when to ask again; nothing is left of it, and the next request works."""
    store: Any = live.gate.store
    store._database = Faulty(store._database, **faults)
    answer = live.call("POST", "/v1/runs", asked("c1"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "locked" in answer.json()["detail"]
    assert "다시 요청" in answer.json()["detail_ko"]
    assert live.call("POST", "/v1/runs", asked("c2")).status_code == 202
    assert [run["release"]["checksum"] for run in live.call("GET", "/v1/runs").json()["runs"]] == ["c2"]
    assert project.begun("c1") == []
    project.decide("c2", 0)


def test_a_hook_polls_on(live: LiveGate) -> None:
    """A fault of the file is neither an error that aborts an analysis nor a yes."""
    store: Any = live.gate.store
    store._database = Faulty(store._database, BEGIN=2)
    answer = live.call("POST", "/v1/hooks/argo/prod-canary/prod", {"name": "j", "checksum": "c1"}, "hooks")
    assert (answer.status_code, answer.json()["answer"]) == (200, "running")
    body = {"name": "j", "namespace": "prod", "checksum": "c1"}
    path = f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/confirm-promotion"
    answer = live.call("POST", path, body, None)
    assert (answer.status_code, answer.json()["answer"]) == (403, "running")


def test_whoever_reads_the_file_keeps_no_change_from_it(live: LiveGate, project: GateProject) -> None:
    """A backup, a person with sqlite3."""
    reader = sqlite3.connect(project.settings.state / "runs.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM run").fetchall()
    assert live.call("POST", "/v1/runs", asked("c1")).status_code == 202
    reader.close()
    project.decide("c1", 0)


def test_an_end_is_recorded_until_it_is(live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk for a while, and the run has the decision that it came to."""
    failed = failing(live, monkeypatch, "finish", 3)
    project.decide("c1", 0)
    run = live.call("POST", "/v1/runs", asked("c1")).json()["id"]
    assert live.ended(run)["decision"] == "promote"
    assert failed == [run] * 3


def test_a_run_whose_end_cannot_be_recorded_is_cancelled(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not ended for anybody: whoever ends it makes it a hold."""
    failed = failing(live, monkeypatch, "finish", 1_000_000)
    project.decide("c1", 0)
    run = live.call("POST", "/v1/runs", asked("c1")).json()["id"]
    until(lambda: failed, "the first try")
    assert live.call("POST", f"/v1/runs/{run}/cancel", WHO).status_code == 202
    monkeypatch.undo()
    assert WHO["why"] in live.ended(run)["reasons"][0]


def test_a_run_that_could_not_be_started_is_started_later(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without another request: whoever asked polls, and nothing else may come."""
    failed = failing(live, monkeypatch, "begin", 2)
    project.decide("c1", 0)
    answer = live.call("POST", "/v1/runs", asked("c1"))
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert live.ended(answer.json()["id"])["decision"] == "promote"
    assert len(failed) == 2


def test_a_retry_that_joins_starts_what_was_not(project: PatientProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client asks again long before the queue does by itself."""
    project.retry_s = 3600.0
    with served(project) as live:
        failing(live, monkeypatch, "begin", 1)
        first = live.call("POST", "/v1/runs", asked("c1")).json()
        again = live.call("POST", "/v1/runs", asked("c1")).json()
        assert (first["state"], again["state"], again["id"]) == ("queued", "running", first["id"])
        project.decide("c1", 0)
        live.ended(first["id"])


@pytest.mark.parametrize("by", ["cancel", "another request"])
def test_a_run_under_way_without_a_process_is_a_hold(live: LiveGate, project: GateProject, by: str) -> None:
    """Begun in the file, and then nothing could be started."""
    live.call("POST", "/v1/runs", asked("c1"))
    waits = live.call("POST", "/v1/runs", asked("c2")).json()["id"]
    live.gate.store._run("UPDATE run SET state = 'running' WHERE id = ?", waits)
    if by == "cancel":
        assert live.call("POST", f"/v1/runs/{waits}/cancel", WHO).status_code == 202
    else:
        live.call("POST", "/v1/runs", asked("c3"))
    assert live.run(waits)["decision"] == "hold"
    for checksum in ("c1", "c3"):
        project.decide(checksum, 0)
