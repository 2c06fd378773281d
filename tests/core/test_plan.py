"""The plan: ids, titles, owners, waivers, and what needs no run or can have none."""

from __future__ import annotations

import datetime as dt
import importlib
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.core.plan import Plan, planned, uncovered
from opsverify.core.runbook import lines
from opsverify.core.spec import Absent, CheckSpec, Inapplicable, Row, Unknown
from opsverify.core.stages import STAGES
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.model import Target

TODAY = dt.date(2026, 11, 22)


def spec(**changes: Any) -> CheckSpec:  # noqa: ANN401 - fields of any type
    """A check's description."""
    given: dict[str, Any] = {
        "id": "sql.case", "lines": ("8/errors", "2-2/cost"), "stages": ("daily",), "severity": "sev2",
        "ko": "점검", "en": "A check",
    }  # fmt: skip
    return CheckSpec(**{**given, **changes})


def test_a_plain_check(target: Target) -> None:
    """Id, titles, sections and owner come from the description and the target."""
    entry = planned(spec(), target, "n", {}, None, TODAY, lines())
    assert (entry.id, entry.ko, entry.en, entry.owner) == ("sql.case", "점검", "A check", "data")
    assert entry.sections == ("8", "2-2")
    assert (entry.title("ko"), entry.title("en")) == ("점검", "A check")
    assert (entry.not_applicable, entry.cannot_run, entry.waiver) == (None, None, None)


def test_parameters_make_ids(target: Target) -> None:
    """A row of the target gets its name in brackets; a row that brings its own description does not."""
    entry = planned(spec(), target, "n", {"line": "L03"}, "2026-11-20-L03", TODAY, lines())
    assert entry.id == "sql.case[2026-11-20-L03]"
    assert entry.en == "A check [2026-11-20-L03]"
    assert planned(spec(), target, "n", {"row": Row(spec())}, "row", TODAY, lines()).id == "sql.case"


@pytest.mark.parametrize(
    ("changes", "parameters", "said"),
    [
        ({"needs": ("redis",)}, {}, "the target declares redis absent"),
        ({}, {"x": Absent("https service")}, "the target lists no https service"),
        ({"where": ("replica", lambda _: False)}, {}, "the target lists no replica"),
    ],
)
def test_not_applicable(target: Target, changes: dict[str, object], parameters: dict[str, object], said: str) -> None:
    """What the target really lacks needs no check, and the plan says so."""
    entry = planned(spec(**changes), target, "n", parameters, "none" if parameters else None, TODAY, lines())
    assert entry.not_applicable == said
    assert entry.id == "sql.case"


def test_one_row_that_is_declared_absent(target: Target) -> None:
    """It stays in the plan by its name, with the reason; an open question as reason holds."""
    entry = planned(spec(), target, "n", {"kind": Inapplicable("dsl", "no workflows")}, "dsl", TODAY, lines())
    assert (entry.id, entry.not_applicable) == ("sql.case[dsl]", "the target declares dsl absent (no workflows)")
    open_question = planned(spec(), target, "n", {"kind": Inapplicable("dsl", "? not seen")}, "dsl", TODAY, lines())
    assert open_question.not_applicable is None
    assert "leaves open whether there is dsl" in str(open_question.cannot_run)


def test_an_absence_that_nobody_decided(tmp_path: Path) -> None:
    """A reason that is only a question, as in a draft, leaves nothing out: the check cannot run, and holds."""
    target = target_in(tmp_path)
    open_question = target.model_copy(update={"absent": target.absent | {"redis": "? not seen"}})
    entry = planned(spec(needs=("redis",)), open_question, "n", {}, None, TODAY, lines())
    assert entry.not_applicable is None
    assert entry.cannot_run is not None
    assert "leaves open whether there is redis" in entry.cannot_run


def test_rows_that_cannot_be_worked_out(target: Target) -> None:
    """Unknown rows are planned and cannot run, unless the part is declared absent."""
    entry = planned(spec(), target, "n", {"x": Unknown("no ledger")}, "none", TODAY, lines())
    assert (entry.cannot_run, entry.not_applicable) == ("no ledger", None)
    entry = planned(spec(needs=("recovery",)), target, "n", {"x": Unknown("no ledger")}, "none", TODAY, lines())
    assert entry.cannot_run is None
    assert entry.not_applicable is not None


@pytest.mark.parametrize(
    ("severity", "until", "allowed", "waived"),
    [
        ("sev2", "2026-11-22", False, True),
        ("sev2", "2026-11-21", False, False),
        ("sev3", "2999-01-01", False, True),
        ("sev1", "2999-01-01", False, False),
        ("sev1", "2999-01-01", True, True),
        ("sev1", "2026-11-21", True, False),
    ],
)
def test_waivers(tmp_path: Path, severity: str, until: str, *, allowed: bool, waived: bool) -> None:
    """A waiver holds to the end of its day; sev1 has none unless the target allows it."""
    text = f"sev1_waivers_allowed = {str(allowed).lower()}\n{SMALLEST}[[waivers]]\ncheck = 'sql.case'\n"
    target = target_in(tmp_path, f"{text}owner = 'kim'\nreason = 'mended on Monday'\nuntil = {until}\n")
    entry = planned(spec(severity=severity), target, "n", {}, None, TODAY, lines())
    assert entry.waiver == (f"mended on Monday (kim, until {until})" if waived else None)
    assert planned(spec(id="sql.other"), target, "n", {}, None, TODAY, lines()).waiver is None
    assert planned(spec(severity=severity), target, "n", {"x": 1}, "x", TODAY, lines()).waiver is None


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_uncovered_lines_are_planned(target: Target, stage: str) -> None:
    """Every line of the stage that no check carries out stands in the plan: a person signs for it."""
    mine = [line for line in lines().values() if stage in line.stages]
    entries = uncovered(STAGES[stage], (), target)
    assert [entry.lines for entry in entries] == [(line.id,) for line in mine]
    assert [entry.attests for entry in entries] == [line.id for line in mine]
    one = planned(spec(lines=(mine[0].id,)), target, "n", {}, None, TODAY, lines())
    assert len(uncovered(STAGES[stage], (one,), target)) == len(mine) - 1


def test_plan_as_json(target: Target) -> None:
    """What `plan.json` holds."""
    entry = planned(spec(), target, "n", {}, None, TODAY, lines())
    written = Plan(STAGES["daily"], (entry,)).to_dict()
    assert (written["schema"], written["stage"]) == ("opsverify.plan/1", "daily")
    assert written["checks"][0]["id"] == "sql.case"
    assert written["checks"][0]["sections"] == ["8", "2-2"]


@pytest.mark.parametrize(
    ("reason", "not_applicable", "cannot_run"),
    [
        ("a batch without an endpoint", "services absent (a batch without an endpoint)", ""),
        ("? not seen", "", "whether there is services"),
    ],
)
def test_no_services_is_a_decision_with_a_reason(
    tmp_path: Path, reason: str, not_applicable: str, cannot_run: str
) -> None:
    """The health of services has the target's reason, and holds while that is a question."""
    parts = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
    absent = "".join(f'{part} = "none"\n' for part in parts)
    head = SMALLEST.partition("[services.a]")[0].replace("absent = [", "# ")
    health = collected_spec("health.service")
    target = target_in(tmp_path, f'{head}\n[absent]\nservices = "{reason}"\n{absent}')
    entry = planned(health, target, "n", {"name": Absent("name")}, "none", TODAY, lines())
    assert not_applicable in (entry.not_applicable or "")
    assert cannot_run in (entry.cannot_run or "")
    assert bool(entry.cannot_run) == bool(cannot_run)


def collected_spec(check_id: str) -> CheckSpec:
    """The specification of one of our own checks of services."""
    suite = importlib.import_module("checks.test_services")
    marks = [mark for value in vars(suite).values() for mark in getattr(value, "pytestmark", ())]
    found: CheckSpec = next(mark.args[0] for mark in marks if mark.args[0].id == check_id)
    return found
