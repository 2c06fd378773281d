"""The shop, which shares nothing with the judgment platform: accepted when healthy, and each of its faults found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from opsverify.recovery.wal.continuity import MARGIN
from sandbox import network
from sandbox.processes import wait_until
from sandbox.shop.faults import CATALOGUE
from sandbox.shop.profile import Shop
from sandbox.shop.settings import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("shop")
HISTORY_DISTANCE_S = 1.0
"""As the shop's target has it."""
ALERT_ENDS_WITHIN_S = 360
"""Prometheus shows a series without new samples for five minutes."""
ROWS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("shop_faults.toml").read_text(encoding="utf-8")
)


class Verifier:
    """Stages of the command line on the shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.recovered: tuple[str, ...] = ()
        self.after_restore: dict[str, str] = {}

    def run(self, command: str, *arguments: str, code: int | None = None) -> int:
        """Run a command; its exit code, which must be `code` where that is given."""
        argv = [sys.executable, "-m", "opsverify", command, *arguments, "--target", str(self.shop.target)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert code in (None, done.returncode), done.stdout + done.stderr
        return done.returncode

    def verify(self, stage: str, code: int | None = None) -> dict[str, str]:
        """Outcomes by check of one run of a stage."""
        more = {"post-dr": self.recovered, "prod-canary": ("--window", "20s")}.get(stage, ())
        self.run("verify", stage, *more, code=code)
        verdict = json.loads((self.shop.home / "reports" / "latest" / "verdict.json").read_text(encoding="utf-8"))
        assert verdict["stage"] == stage
        return {check["id"]: check["outcome"] for check in verdict["checks"]}

    def begin_history(self) -> None:
        """Compare with what is now: a restore or a crash begins the server's counters again."""
        self.run("history", "capture", code=0)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began >= HISTORY_DISTANCE_S, 60, "the history to be old enough")

    def await_no_alert(self) -> None:
        """Wait until what a fault raised is over: a Prometheus that is stopped while an alert fires shows it on."""
        port = self.shop.settings.ports["prometheus"]
        query = f"/api/v1/query?query={quote('count(ALERTS) or vector(0)')}"

        def none() -> bool:
            answer = network.get_json(port, query)
            return answer is not None and [row["value"][1] for row in answer["data"]["result"]] == ["0"]

        wait_until(none, ALERT_ENDS_WITHIN_S, "the alerts of a fault to end")

    def record(self) -> None:
        """Record what the tables hold, and wait until a commit well after the record is archived.

        The newest recovery target, which lies before that commit, then lies after every fault that is undone.
        """
        self.run("ledger", "capture", code=0)
        recorded = time.monotonic()
        wait_until(lambda: time.monotonic() - recorded > MARGIN.total_seconds(), 60, "a target after the record")
        cluster = self.shop.cluster
        cluster.value("INSERT INTO app.audit (at, what) VALUES (now(), 'after the record') RETURNING id")
        segment = cluster.value("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until((cluster.archive / segment).exists, 60, "the commits after the record to be archived")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    """A shop with a backup, verified as it runs."""
    home = tmp_path_factory.mktemp("shop")
    with Shop(home, network.free_port_base(len(SERVICES))) as shop:
        shop.backup()
        yield Verifier(shop)


def test_a_draft_needs_a_connection_string_alone(running: Verifier, tmp_path: Path) -> None:
    """`opsverify init` writes down every table and what it takes for signals; the draft's daily stage is accepted."""
    settings, project = running.shop.settings, tmp_path / "drafted"
    dsn = f"postgresql://shop_ro@127.0.0.1:{settings.ports['postgres']}/shop"
    source = ["--from-dsn", dsn, "--prometheus", f"http://127.0.0.1:{settings.ports['prometheus']}"]
    password = (running.shop.home / "secrets" / "shop_ro").read_text(encoding="utf-8").strip()
    environment = os.environ | {"OPSVERIFY_PG_PASSWORD": password}

    def opsverify(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "opsverify", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)

    made = opsverify("init", str(project), *source)
    assert made.returncode == 0, made.stderr
    target = project / "targets" / "drafted.toml"
    text = target.read_text(encoding="utf-8")
    assert password not in text
    named = "SELECT array_agg(relname) FROM pg_class WHERE relkind = 'p' AND NOT relispartition"
    for name in running.shop.cluster.value(named):
        assert name in text
    drafted = tomllib.loads(text)
    wanted = tomllib.loads(running.shop.target.read_text(encoding="utf-8"))["prometheus"]["signals"]
    for signal in ("requests", "request_errors", "durations", "duration_buckets"):
        assert drafted["prometheus"]["signals"][signal] == wanted[signal]
    assert {drafted["canary"]["canary"], drafted["canary"]["baseline"]} == {'slot="green"', 'slot="blue"'}
    undecided = opsverify("verify", "daily", "--target", str(target), "--report-dir", str(tmp_path / "undecided"))
    assert undecided.returncode == 10, undecided.stdout + undecided.stderr
    # The run before is what counters are compared with; six hours apart in production.
    soon = '\n[history]\nspan = "20s"\n[limits]\nhistory_distance = ">= 1 ms"\n'
    target.write_text(text.replace("? not seen when", "not seen when") + soon, encoding="utf-8")
    daily = opsverify("verify", "daily", "--target", str(target), "--report-dir", str(tmp_path / "run"))
    assert daily.returncode == 0, daily.stdout + daily.stderr
    left_out = json.loads((tmp_path / "run" / "verdict.json").read_text(encoding="utf-8"))["left_out"]
    assert "1-daily/mcp" in left_out["lines"]
    assert left_out["of"] > len(left_out["lines"])


@pytest.fixture(scope="module")
def restored(running: Verifier) -> Verifier:
    """The same shop, recorded, destroyed and restored to the newest commit."""
    shop = running.shop
    running.record()
    shop.destroy_db()
    switched = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = shop.restore()
    assert found.recovered_to is not None
    running.recovered = ("--recovery-target", found.recovered_to.isoformat(), "--switched-at", switched)
    # Right now: a fault that stops the server, whichever test causes it, takes away what it knows of its recovery.
    running.after_restore = running.verify("post-dr")
    return running


def test_every_fault_has_its_row() -> None:
    """A fault that no check notices would be a hole in the comparison."""
    assert set(ROWS) == set(CATALOGUE)


@pytest.mark.parametrize("stage", ["daily", "staging", "prod-canary"])
def test_a_healthy_shop_is_accepted(running: Verifier, stage: str) -> None:
    """Nothing fails, nothing is held: what the shop lacks is not applicable, with its reason."""
    if stage == "daily":
        running.begin_history()
    outcomes = running.verify(stage, code=0)
    assert set(outcomes.values()) == {"pass", "not_applicable"}


def test_a_rehearsal_of_the_shop_is_accepted(running: Verifier) -> None:
    """Restored and compared whole, without a table, metric or service of the judgment platform; so is the quarter."""
    running.record()
    running.run("rehearse", code=0)
    quarter = running.verify("quarterly", code=0)
    assert set(quarter.values()) == {"pass", "not_applicable"}


def test_a_shop_whose_connections_ended_fails_no_request(running: Verifier) -> None:
    """As after a restart of its server: nothing of one row is left in the window of the next."""
    cluster, ports = running.shop.cluster, running.shop.settings.ports
    # Idle ones: a request that is being answered would fail, and be counted.
    ended = cluster.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'shop_app' AND state = 'idle'"
    )
    assert ended
    assert {network.post("127.0.0.1", ports["canary"], "/orders", {"total": 1}) for _ in range(8)} == {network.OK}


@pytest.mark.parametrize("fault", [name for name, row in ROWS.items() if "stage" in row])
def test_a_fault_while_it_runs(running: Verifier, fault: str) -> None:
    """Exactly the checks of the row fail."""
    _fails_exactly(running, fault)


def test_a_restored_shop_is_accepted(restored: Verifier) -> None:
    """After a real disaster and a real restore."""
    outcomes = restored.after_restore
    assert outcomes
    assert {name for name, outcome in outcomes.items() if outcome not in ("pass", "not_applicable")} == set()


@pytest.mark.parametrize("fault", [name for name, row in ROWS.items() if "stage" not in row])
def test_a_fault_of_the_restored_data(restored: Verifier, fault: str) -> None:
    """Exactly the checks of the row fail."""
    _fails_exactly(restored, fault)


def _fails_exactly(verifier: Verifier, fault: str) -> None:
    row = ROWS[fault]
    verifier.shop.fault(fault, row.get("scope"))
    try:
        outcomes = verifier.verify(row.get("stage", "post-dr"))
    finally:
        verifier.shop.fault(fault, off=True)
        verifier.await_no_alert()
    failed = {name for name, outcome in outcomes.items() if outcome == "fail"}
    assert failed == set(row["fails"])
