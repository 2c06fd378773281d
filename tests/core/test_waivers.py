"""Waivers: what a reader is told of them, and how many a run bears."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

import pytest

from opsverify.core.plan import Plan, planned
from opsverify.core.results import CheckResult
from opsverify.core.runbook import lines
from opsverify.core.spec import CheckSpec
from opsverify.core.stages import STAGES, Outcome
from opsverify.core.waivers import too_many, waiver_notes, waivers_of_no_check
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.model import Target

TODAY = dt.date(2026, 11, 22)
FAR = dt.date(2027, 3, 1)


def waivers(folder: Path, *ends: dt.date, ticket: str = 'ticket = "OPS-1"') -> Target:
    """A target with waivers of `t.0`, `t.1`... that end on these days."""
    tables = (
        f'[[waivers]]\ncheck = "t.{number}"\nowner = "kim"\nreason = "mended on Monday"\nuntil = {end}\n{ticket}\n'
        for number, end in enumerate(ends)
    )
    return target_in(folder, SMALLEST + "".join(tables))


def notes(
    target: Target, outcome: Outcome = Outcome.WAIVED, severity: Literal["sev1", "sev2", "sev3"] = "sev2"
) -> list[str]:
    """What is said of the check `t.0` with this outcome."""
    spec = CheckSpec("t.0", ("1-daily/llm",), ("daily",), severity, "점검", "A check")
    plan = Plan(STAGES["daily"], (planned(spec, target, "n", {}, None, TODAY, lines()),))
    return list(map(str, waiver_notes(target, plan, [CheckResult("t.0", outcome, "x")], TODAY)))


def test_a_waiver_in_order_needs_no_note(tmp_path: Path) -> None:
    """With an owner, a ticket, a far end and something to hide there is nothing to say."""
    assert notes(waivers(tmp_path, FAR)) == []


@pytest.mark.parametrize(
    ("end", "ticket", "outcome", "severity", "said"),
    [
        (dt.date(2026, 11, 28), 'ticket = "OPS-1"', Outcome.WAIVED, "sev2", " ends on 2026-11-28; then the check"),
        (TODAY, 'ticket = "OPS-1"', Outcome.WAIVED, "sev2", " ends on 2026-11-22; then the check"),
        (dt.date(2026, 11, 21), "", Outcome.FAIL, "sev2", " ended on 2026-11-21: the check decides again"),
        (FAR, 'ticket = "OPS-1"', Outcome.FAIL, "sev1", " has no effect: the check is sev1"),
        (FAR, 'ticket = "OPS-1"', Outcome.PASS, "sev2", " hides nothing: the check passes"),
        (FAR, "", Outcome.WAIVED, "sev2", " names no ticket"),
    ],
)
def test_what_is_said_of_a_waiver(
    tmp_path: Path, end: dt.date, ticket: str, outcome: Outcome, severity: Literal["sev1", "sev2"], said: str
) -> None:
    """A waiver about to end, ended, without effect, without need or without a ticket is pointed out, with its owner."""
    (note,) = notes(waivers(tmp_path, end, ticket=ticket), outcome, severity)
    assert note.startswith(f"waiver of t.0 (kim){said}")


def test_a_week_before_its_end_is_early_enough(tmp_path: Path) -> None:
    """Seven days before the end nothing is said yet."""
    assert notes(waivers(tmp_path, TODAY + dt.timedelta(days=7))) == []


def test_waivers_of_other_stages_are_not_noted(tmp_path: Path) -> None:
    """A run speaks of the checks of its plan."""
    assert all("t.1" not in note for note in notes(waivers(tmp_path, FAR, dt.date(2020, 1, 1))))


def test_too_many_waivers_hold(tmp_path: Path) -> None:
    """Five at once are borne, six are named; those that have ended do not count."""
    assert too_many(waivers(tmp_path, *[FAR] * 5, dt.date(2020, 1, 1)), TODAY) is None
    said = too_many(waivers(tmp_path, *[FAR] * 6), TODAY)
    assert str(said).startswith("6 waivers are in force at once, limit <= 5: t.0, t.1, t.2, t.3, t.4, t.5; mend")


@pytest.mark.parametrize(
    ("known", "elsewhere", "said"),
    [
        (("t.0", "a.b"), (), []),
        (("a.b",), ("t.0",), []),
        (("t.00", "a.b"), (), ["waivers[0].check: no check 't.0'; did you mean 't.00'?"]),
        (("a.b",), (), ["waivers[0].check: no check 't.0'"]),
    ],
)
def test_a_waiver_of_no_check(
    tmp_path: Path, known: tuple[str, ...], elsewhere: tuple[str, ...], said: list[str]
) -> None:
    """A waiver that names no check of any stage is named by its key, with the nearest check there is."""
    found = waivers_of_no_check(waivers(tmp_path, FAR), known, elsewhere)
    assert [f"{key}: {text}" for key, text in found] == said
