"""The contracts of the design page on a running platform: exit codes, verdict, clean-up, one observation."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.pytest_plugin.contract import assert_keeps_contract
from tests.support.paths import REPOSITORY
from tests.support.standin import RUN_DEADLINE_S, WINDOW, verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.standin import Standin, Verified

TABLES = ("judgment_executions", "workflow_instances", "workflow_dead_letters", "intent_logs", "llm_calls")


@pytest.fixture(autouse=True)
def _quiet(standin: Standin) -> Iterator[None]:
    """Every test begins on a healthy platform, and leaves no fault on."""
    standin.await_quiet("daily")
    standin.await_quiet("prod-canary")
    yield
    for name in ("workflow_stuck", "rule_silent", "synthetic_leak", "prometheus_down"):
        standin.sandbox.fault(name, off=True)


def test_verdict_of_a_good_release_is_to_the_letter_alone_and_with_workers(standin: Standin) -> None:
    """`opsverify verify` ends with 0 and a valid verdict; two workers and plain pytest agree with it."""
    alone = _opsverify(standin, "alone", "verify", "staging")
    assert alone.exit_code == 0, alone.story
    _assert_valid(alone.verdict)
    assert (alone.verdict["outcome"], alone.verdict["decision"]) == ("pass", "promote")
    shared = _opsverify(standin, "shared", "verify", "staging", "-n", "2")
    assert shared.exit_code == 0, shared.story
    plain = _run(
        standin, "plain", sys.executable, "-m", "pytest", "--stage", "staging",
        # With =, as ever where a path lies outside the project: pytest takes a separate one for a folder of tests.
        f"--target={standin.target}", f"--report-dir={standin.folder / 'plain'}",
    )  # fmt: skip
    assert plain.exit_code == 0, plain.story
    assert alone.outcomes == shared.outcomes == plain.outcomes


def test_nothing_synthetic_is_left_though_journeys_fail(standin: Standin) -> None:
    """Journeys that never reach their end are red, and what they wrote is gone."""
    standin.sandbox.fault("workflow_stuck")
    standin.sandbox.fault("rule_silent")
    run = standin.verify("staging")
    assert {"smoke.workflow", "smoke.alert"} <= run.reds.keys()
    assert _synthetic_rows(standin) == dict.fromkeys(TABLES, 0)


def test_synthetic_rows_are_no_business_while_they_are_there(standin: Standin) -> None:
    """A tagged judgment counts in no business figure; with the fault `synthetic_leak` it would."""
    edge = standin.sandbox.settings.url("edge")
    # Yesterday to tomorrow: the judgment may be made after midnight.
    today, day = dt.datetime.now(dt.UTC).date(), dt.timedelta(days=1)
    tag = "opsverify-test-figures"
    with httpx.Client(
        base_url=edge, headers={"X-Synthetic-Tag": tag}, timeout=RUN_DEADLINE_S, trust_env=False
    ) as client:
        reading = {"line_code": "L99", "temperature": 71.5, "pressure": 2.1, "vibration": 0.4}
        client.post("/v1/judgments", json=reading).raise_for_status()

        def counted() -> int:
            totals = client.get(f"/v1/bi/production?from={today - day}&to={today + day}&line_code=L99").json()["totals"]
            return int(totals["judgments"])

        try:
            assert _synthetic_rows(standin)["judgment_executions"] == 1
            assert counted() == 0
            standin.sandbox.fault("synthetic_leak")
            assert counted() == 1
        finally:
            _owner(standin, "DELETE FROM judgment_executions WHERE synthetic_tag = %s", tag)


def test_stopped_prometheus_holds(standin: Standin) -> None:
    """Without measurements nothing is promoted and nothing rolled back: hold, 10, naming Prometheus."""
    standin.sandbox.fault("prometheus_down")
    run = _opsverify(standin, "blind", "verify", "prod-canary", "--window", WINDOW)
    assert run.exit_code == 10, run.story
    _assert_valid(run.verdict)
    assert run.verdict["decision"] == "hold"
    assert set(run.outcomes.values()) == {"inconclusive"}
    assert "Prometheus" in run.verdict["reasons"][0]


def test_all_canary_checks_share_one_observation_whatever_the_workers(standin: Standin) -> None:
    """With two workers the window is observed once: one file, one look a step."""
    run = _opsverify(standin, "one", "verify", "prod-canary", "--window", WINDOW, "-n", "2")
    assert run.exit_code == 0, run.story
    assert [path.name for path in run.folder.rglob("observation*")] == ["observation.jsonl.gz"]
    assert 2 < len(_steps(run.folder)) <= int(WINDOW.removesuffix("s")) + 1


def _opsverify(standin: Standin, name: str, *arguments: str) -> Verified:
    # From any folder: the suites are found where the package is.
    return _run(standin, name, *_command(standin, standin.folder / name, *arguments), folder=standin.folder)


def _command(standin: Standin, folder: Path, *arguments: str) -> list[str]:
    more = ["--target", str(standin.target), "--report-dir", str(folder)]
    return [sys.executable, "-m", "opsverify", *arguments, *more]


def _run(standin: Standin, name: str, *command: str, folder: Path = REPOSITORY) -> Verified:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=RUN_DEADLINE_S)
    return verified(standin.folder / name, done.returncode, done.stdout + done.stderr)


def _assert_valid(verdict: Mapping[str, Any]) -> None:
    assert_keeps_contract(dict(verdict))


def _steps(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "observation.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file.read().splitlines()[1:]]


def _synthetic_rows(standin: Standin) -> dict[str, int]:
    return {
        table: _owner(standin, f"SELECT count(*) FROM {table} WHERE synthetic_tag IS NOT NULL")  # noqa: S608 - our own names
        for table in TABLES
    }


def _owner(standin: Standin, statement: str, *values: str) -> int:
    with psycopg.connect(standin.sandbox.settings.conninfo("judgment_owner"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        row = cursor.fetchone() if cursor.description else None
        return int(row[0]) if row else cursor.rowcount
