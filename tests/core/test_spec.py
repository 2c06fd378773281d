"""The runbook's lines and the decorators by which checks name them."""

from __future__ import annotations

from typing import Any

import pytest

from opsverify import per, runbook
from opsverify.core.runbook import lines
from opsverify.core.spec import CheckSpec
from opsverify.core.stages import STAGES, stage_named
from opsverify.errors import TargetError


def test_every_line_names_real_stages() -> None:
    """A line of the runbook belongs to stages that exist (none where it is for people), with both titles."""
    for line in lines().values():
        assert set(line.stages) <= set(STAGES), line.id
        assert line.ko, line.id
        assert line.en, line.id
        assert "/" in line.id


def test_every_stage_has_lines() -> None:
    """No stage could pass with an empty plan by accident: each carries out lines of the runbook."""
    assert {stage for line in lines().values() for stage in line.stages} == set(STAGES)


@pytest.mark.parametrize(
    ("given", "stages", "said"),
    [
        (("9/nothing",), ("daily",), "9/nothing"),
        (("8/errors",), ("dayly",), "dayly"),
        ((), ("daily",), "no line given"),
    ],
)
def test_unknown_lines_and_stages(given: tuple[str, ...], stages: tuple[str, ...], said: str) -> None:
    """A check that names no line, or an unknown line or stage, cannot be written."""
    with pytest.raises(ValueError, match=f"check t.case: no such runbook line or stage: {said}"):
        CheckSpec("t.case", given, stages, "sev2", "점검", "A check")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"severity": "critical"}, "severity 'critical': expected one of sev1, sev2, sev3"),
        ({"severity": None}, "severity None: expected one of"),
        ({"needs": ("postgre",)}, r"needs: no part 'postgre'; did you mean 'postgres'\?; parts: services, prometheus"),
        ({"needs": "postgres"}, r"needs='postgres' is a text: write \(\"postgres\",\), with a comma"),
        ({"stages": "daily"}, r"stages='daily' is a text: write \(\"daily\",\), with a comma"),
        ({"signals": "requests"}, "signals='requests' is a text"),
        ({"id": "own.점검"}, "check own.점검: the id has other characters than a to z"),
        ({"id": "own check"}, "the id has other characters"),
        ({"id": ""}, "the id has other characters"),
    ],
    ids=str,
)
def test_slips_are_refused_where_they_are_written(changed: dict[str, Any], said: str) -> None:
    """A check that nobody could judge when the run ends must not begin."""
    given: dict[str, Any] = {"id": "t.case", "stages": ("daily",), "severity": "sev2", "ko": "점검", "en": "A check"}
    with pytest.raises(ValueError, match=said):
        runbook("8/errors", **{**given, **changed})


def test_names_of_a_target_stand_in_brackets() -> None:
    """A line of production may be called as people call it; the id in front of it is ours."""
    spec = CheckSpec("sql.fact[라인 1]", ("8/errors",), ("daily",), "sev2", "점검", "A check")
    assert spec.id == "sql.fact[라인 1]"


def test_runbook_marks_and_per_collects() -> None:
    """The decorators leave the function as it is, with its description and its rows on it."""

    @runbook("8/errors", id="t.case", stages=("daily",), severity="sev2", ko="점검", en="A check")
    @per("name", lambda target: tuple(target.services), what="service")
    def test_case() -> None:
        """Stand for a check."""

    (mark,) = vars(test_case)["pytestmark"]
    assert mark.args[0].id == "t.case"
    (rows,) = vars(test_case)["opsverify_per"]
    assert (rows.argument, rows.what) == ("name", "service")


def test_unknown_stage_names_the_nearest() -> None:
    """A misspelled stage gets the nearest name and the whole list."""
    assert stage_named("daily") is STAGES["daily"]
    with pytest.raises(TargetError, match=r"did you mean 'prod-canary'\?; stages: staging, preprod-canary"):
        stage_named("prod-cannary")
