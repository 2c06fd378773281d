"""Playbooks over made observations: the four states, sources that contradict each other, and what is not known."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.playbook import PLAYBOOKS, Playbooks, signals_of
from opsverify.errors import CheckFailed, Inconclusive
from opsverify.playbook.defaults import confirmations, playbook_of
from opsverify.playbook.observation import IncidentWindow, key_of, selectors_of
from opsverify.playbook.run import PlaybookRun
from opsverify.playbook.sources import judge
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.core.check import Check

pytest_plugins = ("tests.support.checks",)

SINCE, START, END = 1000.0, 1060.0, 1090.0
BEFORE, AFTER = "before", "after"


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A judgment platform with two instances, observed for half a minute in steps of 5 s."""
    text = SMALLEST.replace('"prometheus", ', "").replace('"postgres", ', "")
    return target_in(
        tmp_path,
        text
        + '[prometheus]\nurl = "http://127.0.0.1:9"\n[postgres]\nhost = "db"\ndbname = "j"\nlogin = { user = "r" }\n'
        + '[playbook]\ninstances = ["one", "two"]\nstep = "5s"\nwindow = "30s"\n[limits]\nmin_samples = ">= 20"\n',
    )


class Database:
    """Answers of SQL, by a part of the statement; 0 for all others."""

    def __init__(self, answers: Mapping[str, float] | None = None) -> None:
        self._answers = answers or {}

    def row(self, statement: str, **_parameters: object) -> tuple[float]:
        """The first answer whose key the statement holds."""
        return (next((value for key, value in self._answers.items() if key in statement), 0.0),)

    def rows(self, _statement: str, **_parameters: object) -> list[tuple[float, float, float]]:
        """No rows."""
        return []


def counter(per_second: Mapping[str, float]) -> dict[float, float]:
    """Samples every second of a counter that grows by so much before and after the remedy."""
    points, value = {}, 0.0
    for at in range(round(SINCE) - 2, round(END) + 1):
        points[float(at)] = value
        value += per_second[BEFORE] if at < START else per_second[AFTER]
    return points


def llm_run(
    check: Check,
    *,
    failing: tuple[float, float],
    calls: tuple[float, float] = (5.0, 5.0),
    mode: tuple[str, str] = ("LLM", "LLM"),
    model: str = "judge-mini",
    answers: Mapping[str, float] | None = None,
) -> PlaybookRun:
    """The playbook of an LLM failure: failing calls a second before and after, modes of both instances, SQL."""
    playbook = playbook_of(check.target, "llm")
    samples: dict[str, dict[str, dict[float, float]]] = {}
    for measure in (*playbook.fault.values(), *playbook.confirm.values()):
        if measure.share is not None:
            chosen = selectors_of(measure, check.target)
            samples[chosen.counted], samples[chosen.trials] = {}, {}
    failures = selectors_of(playbook.fault["failures"], check.target)
    samples[failures.trials] = {"instance=one": counter({BEFORE: calls[0], AFTER: calls[1]})}
    samples[failures.counted] = {"instance=one": counter({BEFORE: failing[0], AFTER: failing[1]})}
    parses = selectors_of(playbook.fault["parsing"], check.target)
    samples[parses.trials] = {"instance=one": counter({BEFORE: 5.0, AFTER: 5.0})}
    samples["llm_calls_total"] = samples.get("llm_calls_total", samples[failures.trials])
    reported: dict[str, str | None] = {}
    for remedy in playbook.remedies.values():
        for source in remedy.sources:
            if source.field is not None:
                values = {"llm.mode": mode, "llm.model": (model, model)}.get(source.field, ("null", "null"))
                for instance, value in zip(("one", "two"), values, strict=True):
                    reported[key_of(source, instance)] = value
    window = IncidentWindow(SINCE, START, END, samples, (reported, reported))
    services: Any = None
    database: Any = Database(answers)
    return PlaybookRun("llm", check, window, services, lambda: database)


RULE_ONLY = {"source = 'RULE_ONLY'": 40.0, "source = 'LLM'": 0.0, "FROM llm_calls": 0.0}


def test_without_a_fault_nothing_is_remedied(check: Check) -> None:
    """Trap 35: a platform that is well, and reports a remedy, has remedied nothing: every check holds."""
    run = llm_run(check, failing=(0.0, 0.0), mode=("RULE_ONLY", "RULE_ONLY"), answers=RULE_ONLY)
    for measure in (run.measure_fault, run.measure_remedy, lambda: run.confirm("failures"), run.measure_left):
        with pytest.raises(Inconclusive, match="nothing to remedy: no fault was seen since 00:16:40Z"):
            measure()
    assert not check.measurements


def test_a_fault_that_chance_explains_is_none(check: Check) -> None:
    """Four of a hundred calls that fail are within the limit of 5 %."""
    run = llm_run(check, failing=(0.2, 0.2))
    with pytest.raises(Inconclusive, match="nothing to remedy"):
        run.measure_fault()


def test_a_fault_of_a_moment_says_to_run_again(check: Check) -> None:
    """All calls of a single step have failed: above the limit, and too few to prove anything."""
    run = llm_run(check, failing=(5.0, 5.0))
    short = replace(run, window=replace(run.window, since=START - 5))
    with pytest.raises(Inconclusive, match="100%, limit <= 5%: too few to prove a fault, run again in a minute"):
        short.measure_fault()


def test_a_fault_is_seen(check: Check) -> None:
    """Failing calls before the window, and not those inside of it, are what there was to remedy."""
    llm_run(check, failing=(4.0, 0.0)).measure_fault()
    check.conclude()
    assert "the fault was seen" in check.measurements[0].message


def test_a_fault_without_a_remedy_fails(check: Check) -> None:
    """Nothing is reported to be in force: the check says which remedies there are."""
    llm_run(check, failing=(4.0, 4.0)).measure_remedy()
    with pytest.raises(CheckFailed, match=r"remedies in force, of.*rule_only, model_switch"):
        check.conclude()


def test_a_remedy_in_force_passes(check: Check) -> None:
    """Mode, marks of the answers and call log agree; without calls there are no failures."""
    run = llm_run(check, failing=(4.0, 0.0), calls=(5.0, 0.0), mode=("RULE_ONLY", "RULE_ONLY"), answers=RULE_ONLY)
    run.measure_fault()
    run.measure_remedy()
    run.confirm("failures")
    run.confirm("cost")
    check.conclude()


def test_a_remedy_without_effect_fails(check: Check) -> None:
    """The platform reports RULE_ONLY, and the LLM is still called: the sources that contradict are named."""
    run = llm_run(
        check, failing=(4.0, 4.0), mode=("RULE_ONLY", "RULE_ONLY"), answers={**RULE_ONLY, "FROM llm_calls": 12.0}
    )
    run.measure_remedy()
    with pytest.raises(CheckFailed, match=r"1 of 4 sources do not have rule_only in force: calls in the call log 12"):
        check.conclude()


def test_a_remedy_on_one_instance_only_is_not_in_force(check: Check) -> None:
    """Half of the traffic still meets the fault."""
    llm_run(check, failing=(4.0, 0.0), mode=("RULE_ONLY", "LLM"), answers=RULE_ONLY).measure_remedy()
    with pytest.raises(CheckFailed):
        check.conclude()


def test_a_switch_that_the_call_log_does_not_know_fails(check: Check) -> None:
    """Trap 31: a gateway reports the new model's name; the call log says which one was called."""
    answers = {"model = 'judge-onprem'": 0.0, "model <> 'judge-onprem'": 150.0}
    llm_run(check, failing=(4.0, 0.0), model="judge-onprem", answers=answers).measure_remedy()
    with pytest.raises(CheckFailed, match="calls of other models in the call log 150"):
        check.conclude()


def test_a_switch_that_the_call_log_confirms_passes(check: Check) -> None:
    """The healthy case of the one before."""
    answers = {"model = 'judge-onprem'": 150.0, "model <> 'judge-onprem'": 0.0}
    llm_run(check, failing=(4.0, 0.0), model="judge-onprem", answers=answers).measure_remedy()
    check.conclude()


def test_an_instance_that_does_not_answer_holds(check: Check) -> None:
    """What one instance does is unknown: neither in force nor not."""
    run = llm_run(check, failing=(4.0, 0.0), mode=("RULE_ONLY", "RULE_ONLY"), answers=RULE_ONLY)
    first, _ = run.window.reported
    silent = {key: None if key.startswith("two") else value for key, value in first.items()}
    run = dataclasses.replace(run, window=dataclasses.replace(run.window, reported=(first, silent)))
    with pytest.raises(Inconclusive, match="two reports none at /v1/operations"):
        run.measure_remedy()


def test_failures_that_go_on_are_not_confirmed(check: Check) -> None:
    """The list of the runbook is measured over the window after the remedy."""
    llm_run(check, failing=(4.0, 1.0)).confirm("failures")
    with pytest.raises(CheckFailed, match=r"20.*of 150"):
        check.conclude()


def test_too_few_samples_hold(check: Check) -> None:
    """Three calls in the window prove nothing."""
    with pytest.raises(Inconclusive, match="20 needed"):
        llm_run(check, failing=(4.0, 0.0), calls=(5.0, 0.1)).confirm("failures")


def test_a_fault_that_comes_back_is_not_stable(check: Check) -> None:
    """Within the limit over the whole window, and outside of it at its end: the fault comes back."""
    run = llm_run(check, failing=(4.0, 0.0), calls=(5.0, 50.0))
    failures = selectors_of(playbook_of(check.target, "llm").fault["failures"], check.target)
    points = run.window.samples[failures.counted]["instance=one"]
    base = points[START]
    for at in points:
        if at > START:
            points[at] = base + (70.0 if at >= START + 22 else 0.0)
    run.confirm("failures")
    with pytest.raises(CheckFailed, match="at the end of the window"):
        check.conclude()


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_judgment_platform_has_every_playbook(name: str, target: Target) -> None:
    """Each has a fault, remedies of two sources or more, and a list to confirm; signals that it reads exist."""
    playbook = playbook_of(target, name)
    assert confirmations(name)(target) == tuple(playbook.confirm)
    assert all(len(remedy.sources) > 1 for remedy in playbook.remedies.values())
    signals = target.prometheus and target.prometheus.signals
    assert all(getattr(signals, signal) is not None for signal in signals_of(playbook))


@pytest.mark.parametrize(
    ("measure", "problem"),
    [
        ('share = "llm_failures", query = "SELECT 1", limit = "<= 5 %"', "exactly one of share, rows, query, counter"),
        ('share = "nothing", limit = "<= 5 %"', "or a selector with trials"),
        ('share = "llm_failures", limit = ">= 5 %"', "expected < or <="),
        ('query = "SELECT 1", limit = "few"', "is not a limit"),
    ],
)
def test_a_measure_that_makes_no_sense_is_refused(measure: str, problem: str) -> None:
    """A playbook that cannot be measured is found when the target is loaded."""
    text = f'[llm.fault]\nit = {{ what = "w", {measure} }}\n'
    with pytest.raises(ValueError, match=problem):
        Playbooks.model_validate_json(json.dumps(tomllib.loads(text)))


def test_a_selector_that_matched_nothing_proves_nothing(check: Check) -> None:
    """A 0 of a misspelt name is no recovery: the item holds, and a source whose 0 would pass says nothing."""
    run = llm_run(check, failing=(4.0, 0.0))
    playbook = playbook_of(check.target, "llm")
    failures = selectors_of(playbook.fault["failures"], check.target).counted
    (source,) = (source for source in playbook.remedies["rate_limit"].sources if source.counter is not None)
    window = dataclasses.replace(run.window, unproven=frozenset({failures, str(source.counter)}))
    with pytest.raises(Inconclusive, match="has matched nothing in"):
        dataclasses.replace(run, window=window).confirm("failures")
    for known, holds in ((run.window, True), (window, None)):
        assert judge(source, check.target, known, lambda _: (0.0, ""), str).holds is holds
