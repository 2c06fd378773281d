"""Every way a run can go, alone and over two workers: its exit code, its decision, its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.cases import CASES
from tests.pytest_plugin.contract import assert_keeps_contract
from tests.pytest_plugin.suite import HEADER, TARGET

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Case, Suite


@pytest.mark.parametrize(
    ("case", "way"),
    [pytest.param(case, way, id=f"{case.name}-{way}".replace(" ", "_")) for case in CASES for way in case.ways],
)
def test_a_run_ends_as_it_must(suite: Suite, case: Case, way: str) -> None:
    """Exit code, decision and reasons are those of the design page, whatever the way of running."""
    suite.target(case.target)
    suite.variables.update(case.variables)
    if case.body:
        suite.checks("case", case.body)
    for name, text in case.files.items():
        (suite.root / name).write_text(text.replace("{target}", TARGET).replace("{header}", HEADER))

    ran = suite.run(way, case.args)

    assert ran.code == case.code, str(ran)
    if case.decision is None:
        assert ran.verdict is None or ran.verdict["decision"] == "hold"
        assert case.reason in ran.err, str(ran)
        return
    assert ran.verdict is not None, str(ran)
    assert_keeps_contract(ran.verdict)
    assert ran.verdict["decision"] == case.decision
    assert ran.verdict["exit_code"] == ran.code
    assert case.reason in ran.reasons, ran.reasons
    assert f"{case.decision.upper()}  (exit {ran.code};" in ran.out + ran.err
    if case.outcome is not None:
        assert ran.outcomes["t.case"] == case.outcome
