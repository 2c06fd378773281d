"""Journey files: what loads, and the message of each fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import TargetError
from opsverify.smoke.journeys import PARTS, SMOKE_STAGES, JourneyStep, load_journeys
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = REPOSITORY / "smoke" / "journeys.toml"
HEAD = """
[[journey]]
name = "j"
lines = ["2-1/judgment"]
severity = "sev1"
ko = "여정"
en = "A journey"
"""
STEP = '[[journey.step]]\ntitle = "look"\nsql = "SELECT 1 AS one"\nexpect = { one = 1 }\n'


def test_shipped_journeys_load() -> None:
    """The project's own journeys are valid, with distinct names."""
    journeys = load_journeys(SHIPPED)
    assert len({journey.name for journey in journeys}) == len(journeys) >= 7


def test_a_row_is_a_check(tmp_path: Path) -> None:
    """A row becomes a check with id, titles, severity and the smoke stages."""
    (tmp_path / "j.toml").write_text(HEAD + STEP)
    (journey,) = load_journeys(tmp_path / "j.toml")
    assert (journey.spec.id, journey.spec.ko, journey.spec.stages) == ("smoke.j", "여정", SMOKE_STAGES)
    assert journey.writes
    assert journey.steps[0].sql == "SELECT 1 AS one"


def test_every_kind_of_step_says_what_it_uses(tmp_path: Path) -> None:
    """A target without that part leaves the journey out with its reason, or is asked to describe the part."""
    modifiers = {"title", "status", "expect", "keep", "ends", "by", "within"}
    assert set(PARTS) == set(JourneyStep.model_fields) - modifiers
    more = '[[journey.step]]\ntitle = "compare"\nagree = { signal = "requests", sql = "SELECT 1" }\n'
    more += '[[journey.step]]\ntitle = "counted"\nmoved = "mcp_calls"\n'
    (tmp_path / "j.toml").write_text(HEAD + STEP + more)
    (journey,) = load_journeys(tmp_path / "j.toml")
    assert (journey.spec.needs, journey.spec.signals) == (("postgres", "prometheus"), ("requests", "mcp_calls"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "journey: missing"),
        ("journey = 3 =", "not valid TOML"),
        (HEAD, "journey.0.step: missing"),
        (
            HEAD + STEP + 'inbox = "x"\n',
            "journey.0.step.0: step 'look': expected exactly one of request, sql",
        ),
        (HEAD + '[[journey.step]]\ntitle = "look"\n', "step 'look': expected exactly one of request, sql"),
        (HEAD + STEP + "statuss = 200\n", "journey.0.step.0.statuss: unknown key"),
        (HEAD + STEP + 'within = "soon"\n', '"soon" is not a duration: expected a number and a unit'),
        (HEAD.replace('"j"', '"여정"') + STEP, "journey.0.name: "),
        (HEAD.replace("sev1", "sev9") + STEP, "journey.0.severity: "),
        (HEAD.replace("2-1/judgment", "2-1/nothing") + STEP, "no such runbook line or stage: 2-1/nothing"),
    ],
)
def test_faults(tmp_path: Path, text: str, said: str) -> None:
    """Each fault is a line with file, journey, step and the expected form."""
    path = tmp_path / "j.toml"
    path.write_text(text)
    with pytest.raises(TargetError) as raised:
        load_journeys(path)
    assert said in str(raised.value)
    assert all(problem.startswith(f"{path}: ") for problem in raised.value.problems)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is one line."""
    with pytest.raises(TargetError, match=r"none.toml: cannot be read: No such file"):
        load_journeys(tmp_path / "none.toml")
