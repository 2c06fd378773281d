"""The stand-in platform under test, and stages run on it: shared by the proof and by the end-to-end tests."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import re
import shutil
import sqlite3
import sys
import time
import tomllib
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import tomli_w

from opsverify.cli.history import capture as capture_history
from opsverify.cli.history import store_of
from opsverify.cli.ledger import capture, newest_target
from opsverify.config.load import load_target
from opsverify.errors import Inconclusive
from opsverify.incident.entries import REPORTS, Entry, declare, mark
from opsverify.incident.timeline import incidents
from sandbox import backup_faults, network
from sandbox.home import Control
from sandbox.postgres import Cluster
from sandbox.processes import Table
from sandbox.redis import client
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sandbox.core import Sandbox

LOOKBACK_S = 8
WINDOW = "8s"
INCIDENT_AGO = dt.timedelta(seconds=4)
AFTERMATH = dt.timedelta(seconds=5)
"""Within it what a fault has caught, such as a call that waits for its timeout, has ended and was scraped."""
"""How long ago an incident of which nothing is to be seen has begun."""
INCIDENT_LASTS = dt.timedelta(seconds=10)
"""How long an incident lasts before anybody reacts: a fault of a second or two is not proven."""
RUN_DEADLINE_S = 600
"""Within it a run ends, on whatever machine; one that hangs must not keep CI for ever."""
CANARY_STAGE = "prod-canary"
RATES = {CANARY_STAGE: 40.0, "daily": 25.0}
QUARTER = "proof-quarter"
QUARTERLY = {"name": QUARTER, "limits": {"rpo": "<= 10 m"}}
"""The target whose quarter is reviewed: its rehearsal is looked at when it is over, however busy the machine was."""
USUAL_RATE = 15.0
"""Judgments a second: a canary's share of a few seconds has to be enough to judge by, the others save two cores."""
QUIET_DEADLINE_S = 300
SCRAPED = 4
"""Scrape targets of the stand-in's Prometheus beside the canary's pods."""

PROOF = {
    "prometheus": {"lookback": f"{LOOKBACK_S}s", "timeout_s": 2.0},
    # No proof is reached in seconds: every row is measured over its whole window, as the literal rule wants.
    "canary": {"step": "1s", "alpha": 1e-9},
    "playbook": {"window": "3s", "step": "1s"},
    "postgres": {"statement_timeout_s": 3.0},
    "limits": {
        "journey_wait": "<= 6 s",
        "min_samples": ">= 3",
        # Two cores carry the platform, its users and the suite: the slow health endpoint takes 3 s.
        "service_latency": "< 2 s",
        # A window holds some sixteen LLM calls of the canary, whose number varies by chance; the fault is 10x.
        "llm_cost_growth": "<= 2 x",
        # Synthetic traffic of seconds, scaled to a day: healthy about 25 USD, with the fault llm_cost 250.
        "llm_cost_per_day": "<= 60 usd",
        # WAL segments are archived every 10 s here.
        "rpo": "<= 30 s",
        "alerts_end": "<= 6 s",
        # A row proves its check, however busy the machine is: a slow part is slow.
        "run_delay": "<= 1 h",
        "history_distance": ">= 100 ms",
    },
}
"""What the proof changes in the stand-in's own target: shorter waits, and limits for a trickle of traffic."""

_PRELOAD = (
    "pytest",
    "allure_pytest.plugin",
    "opsverify.cli.main",
    "opsverify.cli.verify",
    "opsverify.pytest_plugin.fixtures",
    "opsverify.recovery.verify.recorded",
    "opsverify.recovery.drill.run",
    "opsverify.recovery.drill.timing",
    "opsverify.report.publish",
    "opsverify.report.rehearsal",
    "opsverify.recovery.rpo.measure",
    "opsverify.recovery",
    "opsverify.evidence.seal",
    "opsverify.evidence.signature",
    "opsverify.canary.window",
    "opsverify.metrics.lookback",
    "opsverify.smoke.runner",
    "opsverify.canary.observer",
    "opsverify.probes.alertmanager",
    "opsverify.probes.redis",
    "opsverify.probes.cleanup",
    "opsverify.probes.http",
    "opsverify.probes.inbox",
    "opsverify.probes.mcp",
    "opsverify.probes.postgres",
    "opsverify.probes.prometheus",
    "opsverify.probes.tcp",
    "opsverify.probes.tls",
)

_LLM_FAILURES = 'llm_calls_total{outcome!="ok"}'
_PARSE_FAILURES = 'llm_parse_total{outcome="failed"}'
_MCP_FAILURES = 'mcp_calls_total{outcome!="ok"}'
_JUDGMENT_FAILURES = 'judgment_requests_total{code=~"5.."}'
_WORKFLOW_FAILURES = 'workflow_finished_total{status="failed"}'
_SLOW_JUDGMENTS = (
    "sum(increase(judgment_duration_seconds_count[3s]))"
    ' - sum(increase(judgment_duration_seconds_bucket{le="1.5"}[3s])) < 0.5'
)
_LONG, _SHORT = f"{LOOKBACK_S + 1}s", "3s"
_COMPARES = ("daily", "weekly", "monthly")
_WATCHES_ALERTS = ("daily", "prod-canary", "post-dr", "post-rollback")


@dataclass(frozen=True)
class Verified:
    """One stage run: exit code, verdict (empty where none was written), what it printed."""

    exit_code: int
    verdict: Mapping[str, Any]
    printed: str
    folder: Path

    @cached_property
    def outcomes(self) -> dict[str, str]:
        """Outcome by check id."""
        return {check["id"]: check["outcome"] for check in self.verdict.get("checks", ())}

    @property
    def reds(self) -> dict[str, str]:
        """The checks that are neither pass, not applicable nor waived."""
        return {name: said for name, said in self.outcomes.items() if said in ("fail", "inconclusive")}

    @property
    def page(self) -> str:
        """The page of a rehearsal."""
        return (self.folder / "recovery.html").read_text(encoding="utf-8")

    @property
    def story(self) -> str:
        """What a person needs to understand an unexpected outcome."""
        return f"exit {self.exit_code}, {self.folder}\n" + "\n".join(
            [*self.verdict.get("reasons", ()), "" if self.verdict else self.printed]
        )


@dataclass
class Standin:
    """The running sandbox with target files derived from its own, and a warm process that runs stages."""

    sandbox: Sandbox
    folder: Path
    _runs: count[int] = field(default_factory=count)
    _captured: dt.datetime = field(init=False)
    _unchanged_since: dt.datetime = field(init=False)
    """From here on the database holds what was recorded: the last fault or rollback that changed it is undone."""
    _undone: dt.datetime = field(init=False, default_factory=lambda: dt.datetime.now(dt.UTC))
    """When the last fault or remedy was switched off."""

    def __post_init__(self) -> None:
        self._warm = multiprocessing.get_context("forkserver")
        # Stages run in forks of a process that has imported everything: clean as a new one, and 0.8 s faster.
        self._warm.set_forkserver_preload(list(_PRELOAD))
        self.target = self.write_target("proof")

    @cached_property
    def target_with_platform(self) -> Path:
        """A target file whose rehearsals start a platform on the database they restored, which takes ten seconds."""
        return self.write_target("platform", platform=True)

    def target_of(self, stage: str, name: str | None = None, more: Mapping[str, Any] | None = None) -> Path:
        """The target file for a stage, changed by `more`: a quarter is reviewed on one that was rehearsed, once."""
        rehearsed = self._rehearsed if stage == "quarterly" else None
        if name is None:
            return rehearsed or self.target
        change: dict[str, Any] = deepcopy(QUARTERLY) if rehearsed else {}
        _merge(change, more or {})
        return self.write_target(name, change)

    @cached_property
    def _rehearsed(self) -> Path:
        """A target of a name of its own, with the sealed evidence of a rehearsal."""
        shutil.rmtree(store_of(REPOSITORY, load_target(self.target)[0]).path.parents[1] / QUARTER, ignore_errors=True)
        self._break_once()
        path = self.write_target(QUARTER, QUARTERLY)
        done = self.verify("rehearsal", *self.arguments("rehearsal"), target=path)
        assert done.exit_code == 0, done.story
        _tell_of_an_incident(path)
        return path

    def _break_once(self) -> None:
        """Open the circuit breaker and let it close again: what a quarter has seen of it, here in one look-back."""
        self.await_quiet("quarterly")  # calls are sent again: without any a breaker never closes
        # What is there at the first look at a process may be older than that look, and counts for nothing.
        self.await_effect("mcp_breaker_open offset 20s")
        opened, closed = map(self._entered, ("open", "closed"))
        with self.fault("mcp_down"):
            self.await_that(lambda: self._entered("open") > opened, "the breaker to open")
        self.await_that(lambda: self._entered("closed") > closed, "the breaker to close")
        self.await_quiet("quarterly")

    def _entered(self, state: str) -> float:
        """How often Prometheus has seen the breakers enter `state`."""
        samples = self._query(f'sum(mcp_breaker_transitions_total{{to="{state}"}})')
        return float(samples[0]["value"][1]) if samples else 0.0

    def write_target(self, name: str, more: Mapping[str, Any] | None = None, *, platform: bool = False) -> Path:
        """Write the target file `name`: the sandbox's own, changed by `PROOF` and `more`."""
        content = tomllib.loads(self.sandbox.target.read_text(encoding="utf-8"))
        for change in (PROOF, more or {}):
            _merge(content, change)
        if not platform:
            del content["recovery"]["platform"]
        del content["breakers"]["mcp"]["exercise"]  # no row waits for a fault of its own
        path = self.folder / f"{name}.toml"
        path.write_text(tomli_w.dumps(content), encoding="utf-8")
        return path

    def verify(self, stage: str, *arguments: str, target: Path | None = None) -> Verified:
        """Run a stage by `opsverify verify` in a fork of the warm process."""
        folder = self.folder / f"{next(self._runs):03d}-{stage}"
        log = folder.with_suffix(".log")
        argv = ["verify", stage, f"--target={target or self.target}", f"--report-dir={folder}", *arguments]
        process = self._warm.Process(target=run_opsverify, args=(argv, str(log)))
        process.start()
        process.join(RUN_DEADLINE_S)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        return verified(folder, -1 if code is None else code, log.read_text(encoding="utf-8"))

    def prepare_recovery(self) -> None:
        """Back up, and record what the tables hold: what post-dr and rehearsal compare with later."""
        self.sandbox.backup()
        capture(str(self.target), REPOSITORY)
        self._captured = self._unchanged_since = dt.datetime.now(dt.UTC)

    @property
    def backup_age_s(self) -> float:
        """Seconds since the base backup was made and the tables were recorded."""
        return (dt.datetime.now(dt.UTC) - self._captured).total_seconds()

    def arguments(
        self, stage: str, target: str | None = None, after_backup_s: float = 0.0, window: str | None = None
    ) -> list[str]:
        """Arguments of a stage other than its target file; `target` names a recovery target that cannot be reached.

        The recovery target of a rehearsal is at least `after_backup_s` after the backup; a canary is observed for
        `window`.
        """
        if target == "before-backup":
            return [f"--recovery-target={(self._captured - dt.timedelta(hours=1)).isoformat()}"]
        if target == "beyond-archive":
            return [f"--recovery-target={(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()}"]
        if stage == "prod-canary":
            return [f"--window={window or WINDOW}"]
        if stage == "post-dr":
            return [f"--recovery-target={self.recovery_target}"]
        if stage == "rehearsal":
            # A disaster now would lose what came after it: an old target would lose too much.
            earliest = self._captured + dt.timedelta(seconds=after_backup_s)
            return [f"--recovery-target={self._newest_since(max(self._unchanged_since, earliest))}"]
        return []

    def arguments_after_now(self) -> list[str]:
        """A recovery target after everything that was done until now."""
        return [f"--recovery-target={self._newest_since(dt.datetime.now(dt.UTC))}"]

    @cached_property
    def recovery_target(self) -> str:
        """A point in time after the capture of the tables, to which backup and archive reach."""
        return self._newest_since(self._captured)

    def _newest_since(self, moment: dt.datetime) -> str:
        """Wait until the archive reaches beyond `moment`: without a switch, a segment is archived every 10 s."""
        cluster = Cluster(self.sandbox.settings, Table(self.sandbox.home))

        def reached() -> bool:
            if self._recoverable_to(moment) > moment:
                return True
            cluster.value("SELECT pg_switch_wal()")
            return False

        self.await_that(reached, "the WAL archive to reach the record")
        return self._recoverable_to(moment).isoformat()

    def _recoverable_to(self, past: dt.datetime) -> dt.datetime:
        try:
            return newest_target(str(self.target), REPOSITORY, past)
        except Inconclusive:  # nothing after the backup is archived yet
            return dt.datetime.min.replace(tzinfo=dt.UTC)

    @contextmanager
    def fault(self, name: str, scope: str | None = None) -> Iterator[None]:
        """Switch the fault on, and off afterwards: what runs next does not depend on it."""
        try:
            self.sandbox.fault(name, scope)
            yield
        finally:
            self.sandbox.fault(name, off=True)
            self._undone = dt.datetime.now(dt.UTC)
            if name not in backup_faults.DAMAGES:  # these change no more than the backup, and put that back
                self._unchanged_since = dt.datetime.now(dt.UTC)

    @contextmanager
    def remedy(self, name: str, *, effect: bool) -> Iterator[None]:
        """Apply a remedy, and withdraw it afterwards."""
        try:
            self.sandbox.remedy(name, effect=effect)
            yield
        finally:
            self.sandbox.remedy(name, off=True)
            self._undone = dt.datetime.now(dt.UTC)

    def uneventful_since(self) -> dt.datetime:
        """When an incident begins in which nothing happens: some seconds ago, and after all that faults left."""
        return max(dt.datetime.now(dt.UTC) - INCIDENT_AGO, self._undone + AFTERMATH)

    def await_reaction(self, began: dt.datetime) -> None:
        """Wait until the incident has lasted long enough for its fault to be proven."""
        self.await_that(lambda: dt.datetime.now(dt.UTC) - began >= INCIDENT_LASTS, "the incident to last")

    @contextmanager
    def rolled_back(self, omit: str | None) -> Iterator[list[str]]:
        """Carry the steps of a rollback out, all but `omit`; put the platform back afterwards.

        Yields what the stage `post-rollback` has to be told.
        """
        if omit == "record":
            earlier = self.sandbox.record_release("a release before the rollback", "tests")
            earlier.write_text(re.sub(r"(?m)^at = .*$", f"at = {self._captured.isoformat()}", earlier.read_text()))
        began = dt.datetime.now(dt.UTC)
        share = Control(self.sandbox.home).read().canary_share
        steps: dict[str, Callable[[], object]] = {
            "traffic": lambda: self.sandbox.traffic(canary_share=0),
            "migrate": lambda: self.sandbox.migrate("down"),
            "cache": self.sandbox.clear_cache,
            "record": lambda: self.sandbox.record_release("rollback of the proof", "tests"),
        }
        try:
            for name, step in steps.items():
                if name != omit:
                    step()
            yield [f"--rolled-back-at={began.isoformat()}"]
        finally:
            self.sandbox.migrate("up")
            self.sandbox.traffic(canary_share=share)
            self._unchanged_since = dt.datetime.now(dt.UTC)

    def await_effect(self, promql: str) -> None:
        """Wait until Prometheus has a sample for `promql`."""
        self._await(lambda: [] if self._query(promql) else [f"{promql} has no sample"])

    def await_no_effect(self, promql: str) -> None:
        """Wait until nothing is left of what an earlier fault did: no answer does not say so."""
        self._await(lambda: [] if self._query(promql) == [] else [f"{promql} has a sample, or no answer"])

    def await_quiet(self, stage: str) -> None:
        """Send the traffic that `stage` needs, and wait until nothing of an earlier fault is left in what it reads."""
        rate = RATES.get(stage, USUAL_RATE)
        if Control(self.sandbox.home).read().rate != rate:
            self.sandbox.traffic(rate=rate)
        self._await(lambda: self._troubles(stage))
        if stage in _COMPARES:
            self._begin_history()

    def _begin_history(self) -> None:
        """Compare with what is now: the faults of earlier rows left their traces in every counter."""
        target, secrets = load_target(self.target)
        store = store_of(REPOSITORY, target)
        marks = (self._cluster_id, self._redis_run_id)
        with closing(sqlite3.connect(store.path, timeout=30)) as database, database:
            database.execute("PRAGMA foreign_keys = ON")
            for mark in marks:
                database.execute("DELETE FROM snapshot WHERE same LIKE ? OR began LIKE ?", [f"%{mark}%"] * 2)
        for _, line in capture_history(target, secrets, store):
            assert line

    @property
    def _cluster_id(self) -> str:
        cluster = Cluster(self.sandbox.settings, Table(self.sandbox.home))
        return str(cluster.value("SELECT system_identifier::text FROM pg_control_system()"))

    @property
    def _redis_run_id(self) -> str:
        with client(self.sandbox.settings) as redis:
            return str(cast("dict[str, str]", redis.info("server"))["run_id"])

    def await_that(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds."""
        self._await(lambda: [] if condition() else [what])

    def port(self, name: str) -> int:
        """Port of the service `name`."""
        return self.sandbox.settings.ports[name]

    def _troubles(self, stage: str) -> list[str]:
        state = Control(self.sandbox.home).read()
        on = (*state.faults, *state.remedies)
        if on:
            return [f"faults or remedies are on: {', '.join(on)}"]
        found = []
        health = network.get_json(self.port("edge"), "/health") or {}
        if health.get("status") != "ok":
            found.append(f"the platform's health is {health}")
        for port in map(self.port, ("stable", "canary")):
            breakers = network.get_json(port, "/v1/breakers") or {}
            if breakers.get("mcp", {}).get("state") != "closed":
                found.append(f"breakers are {breakers}")
        answer = network.get_json(self.port("prometheus"), "/api/v1/targets?state=active")
        scraped = [target["health"] for target in answer["data"]["activeTargets"]] if answer else []
        expected = SCRAPED + len(state.canary_pods)
        if scraped != ["up"] * expected:
            found.append(f"Prometheus scrapes {scraped}, expected {expected} targets up")
        answer = network.get_json(self.port("prometheus"), "/api/v1/rules")
        rules = [rule["health"] for group in answer["data"]["groups"] for rule in group["rules"]] if answer else []
        if set(rules) != {"ok"}:
            found.append(f"alert rules are {rules}, expected ok")
        if stage == "weekly" and dt.datetime.now(dt.UTC) < self._undone + AFTERMATH:
            found.append("what the end of the last fault did to the cache is not scraped yet")
        if stage in _WATCHES_ALERTS:
            alerts = network.get_json(self.port("alertmanager"), "/api/v2/alerts")
            names = [alert["labels"]["alertname"] for alert in alerts or ()]
            if names != ["Watchdog"]:
                found.append(f"alerts: {names}, expected the watchdog alone")
        return found or [promql for promql in _promises(stage) if not self._query(promql)]

    def _query(self, promql: str) -> list[Any] | None:
        """Samples of `promql`; None without an answer."""
        answer = network.get_json(self.port("prometheus"), f"/api/v1/query?query={quote(promql)}")
        return answer["data"]["result"] if answer else None

    def _await(self, troubles: Callable[[], list[str]]) -> None:
        end = time.monotonic() + QUIET_DEADLINE_S
        while found := troubles():
            if time.monotonic() > end:
                raise TimeoutError(f"timed out after {QUIET_DEADLINE_S} s: {'; '.join(found)}")
            time.sleep(0.1)  # between two looks at a condition


def _tell_of_an_incident(target: Path) -> None:
    """Record one incident, of sev2 and two hours ago: L1 was told after ten minutes, customers within an hour."""
    for earlier in incidents(REPOSITORY / REPORTS, QUARTER):
        shutil.rmtree(earlier.folder)
    began = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)

    def after(minutes: int) -> str:
        return (began + dt.timedelta(minutes=minutes)).isoformat()

    declare(str(target), REPOSITORY, Entry(at=after(0), severity="sev2"))
    for step, level, minutes in (("told", "L1", 10), ("told", "L2", 30), ("customer-notice", None, 55)):
        mark(str(target), REPOSITORY, None, step, Entry(at=after(minutes), level=level))


def _promises(stage: str) -> Iterable[str]:
    """What a healthy platform's metrics fulfil, over the time that the checks of `stage` look back."""
    yield _none(_PARSE_FAILURES, _LONG)
    if stage == "daily":
        yield f"sum(increase(llm_calls_total[{_LONG}])) > 20"
        yield f"sum(increase(mcp_calls_total[{_LONG}])) > 20"
        yield _none(_LLM_FAILURES, _LONG)
        yield _none(_MCP_FAILURES, _LONG)
        yield "sum(workflow_dead_letters) == 0"
        yield f"sum(rate(llm_cost_usd_total[{_LONG}])) * 86400 < 45"
    if stage == "weekly":
        # Of 20 s, and of the last of them: a cache that was emptied fills again within seconds.
        for span, least in (("20s", 0.3), ("4s", 0.45)):
            hits = f'sum(increase(judgment_cache_total{{outcome="hit"}}[{span}]))'
            yield f"{hits} / sum(increase(judgment_cache_total[{span}])) > {least}"
    if stage == "quarterly":
        yield "sum(mcp_breaker_open) == 0"
    if stage == "prod-canary":
        for failures in (_JUDGMENT_FAILURES, _LLM_FAILURES, _MCP_FAILURES, _WORKFLOW_FAILURES):
            yield _none(failures, _SHORT)
        yield f'sum(increase(judgment_requests_total{{track="canary"}}[{_SHORT}])) > 0'
        yield _SLOW_JUDGMENTS


def _none(failures: str, span: str) -> str:
    """No failure in the span; `increase` alone does not know the first of a label."""
    return f"sum(increase({failures}[{span}])) + (sum({failures} unless {failures} offset {span}) or vector(0)) == 0"


def verified(folder: Path, exit_code: int, printed: str) -> Verified:
    """What a run in `folder` came to."""
    path = folder / "verdict.json"
    verdict = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Verified(exit_code, verdict, printed, folder)


def run_opsverify(argv: list[str], log: str, project: Path = REPOSITORY) -> None:
    """In a fork: the command line in `project`, with its output in `log`, and its exit code."""
    from opsverify.cli.main import main  # noqa: PLC0415 - the parent never needs it

    with Path(log).open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(project)
        code = main(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _merge(content: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(content.setdefault(key, {}), value)
        else:
            content[key] = value
