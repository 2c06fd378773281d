"""Many runs: what a token sees does not depend on those it may not see, and a scrape reads none of those that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opsverify.serve import run_table
from opsverify.serve import store as store_module
from opsverify.serve.gate_run import RunState
from opsverify.serve.operations import MOST_LISTED
from tests.support.metric_samples import samples

if TYPE_CHECKING:
    from tests.support.gate_server import GateProject, LiveGate

STAGES = ("daily", "weekly", "prod-canary")


def copies(live: LiveGate, run_id: str, stage: str, count: int, **columns: object) -> None:
    """That many runs that ended as `run_id` did, of another stage, with other `columns`."""
    store = live.gate.store
    row = dict(store._query("SELECT * FROM run WHERE id = ?", run_id)[0]) | {"stage": stage} | columns
    with store.transaction():
        for number in range(count):
            values = row | {"id": f"{stage}-{number}", "key": f"{stage}-{number}"}
            marks = ", ".join("?" * len(values))
            store._run(f"INSERT INTO run ({', '.join(values)}) VALUES ({marks})", *values.values())  # noqa: S608 - columns


def hold(live: LiveGate, project: GateProject, target: str = "staging") -> str:
    """A daily run that ended as a hold."""
    project.decide("none", 10)
    run = live.call(
        "POST", "/v1/runs", {"stage": "daily", "target": target}, Idempotency_Key=f"k {target}".replace(" ", "")
    )
    found: str = live.ended(run.json()["id"])["id"]
    return found


@pytest.mark.parametrize(
    "query", ["", "?stage=daily", "?target=staging", "?stage=daily&target=staging"], ids=lambda each: each or "all"
)
def test_runs_of_others_hide_none_of_ones_own(live: LiveGate, project: GateProject, query: str) -> None:
    """The newest of those that the token may see, however many of others are newer."""
    own = hold(live, project)
    copies(live, own, "weekly", MOST_LISTED + 1)
    found = live.call("GET", f"/v1/runs{query}", token="reader").json()["runs"]
    assert [run["id"] for run in found] == [own]


@pytest.mark.parametrize(
    ("query", "token", "count"),
    [("", "admin", 3), ("?stage=weekly", "admin", 2), ("?target=prod", "admin", 0), ("?stage=weekly", "reader", 0),
     ("?target=prod", "reader", 0)],
)  # fmt: skip
def test_a_list_is_of_what_is_asked_for(
    live: LiveGate, project: GateProject, query: str, token: str, count: int
) -> None:
    """Within the token's scope."""
    copies(live, hold(live, project), "weekly", 2)
    assert len(live.call("GET", f"/v1/runs{query}", token=token).json()["runs"]) == count


def test_a_scrape_counts_in_the_file(live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no run: with those of years it would keep every request from the file meanwhile."""
    own = hold(live, project)
    copies(live, own, "prod-canary", 3, namespace="default", name="judgment", checksum="c1")
    with live.gate.store.transaction():
        live.gate.store._run("UPDATE run SET retired_at = created_at WHERE id = 'prod-canary-0'")
    monkeypatch.setattr(store_module, "run_of", None)
    found = samples(live)
    assert found["opsverify_holds_waiting{}"] == 2, "daily decides on no release, one was retired"
    assert (found["opsverify_queue_length{}"], found["opsverify_runs_running{}"]) == (0, 0)


def test_a_request_reads_what_is_open_only(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the runs of its release, not those that ended and let nothing pass."""
    own = hold(live, project, "prod")
    copies(live, own, "prod-canary", 50, namespace="default", name="judgment", checksum="c1")
    read: list[str] = []
    run_of = run_table.run_of

    def counted(row: Any) -> Any:  # noqa: ANN401 - a row, and a run
        read.append(row["id"])
        return run_of(row)

    monkeypatch.setattr(store_module, "run_of", counted)
    body = {"stage": "prod-canary", "target": "prod", "release": {"name": "judgment", "checksum": "c2"}}
    answer = live.call("POST", "/v1/runs", body)
    assert answer.status_code == 202
    assert set(read) == {answer.json()["id"]}
    assert live.gate.store.count(RunState.FINISHED) == 51
    project.decide("c2", 10)
