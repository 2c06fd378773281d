"""Causes: one cause is one reason, the most important first."""

from __future__ import annotations

from opsverify.core.causes import causes_of
from opsverify.core.plan import Plan, Planned
from opsverify.core.results import CheckResult
from opsverify.core.stages import STAGES, Outcome
from opsverify.language.message import say

ROWS = (
    ("daily.cost", "sev3", Outcome.INCONCLUSIVE, say("server{detail}: no answer", detail=" cost")),
    ("daily.age", "sev3", Outcome.FAIL, say("3 d, limit {limit}", limit="< 1 d")),
    ("daily.errors", "sev1", Outcome.INCONCLUSIVE, say("server{detail}: no answer", detail=" errors")),
    ("daily.alerts", "sev1", Outcome.FAIL, say("2 alerts")),
    ("health.a", "sev2", Outcome.INCONCLUSIVE, "not run"),
    ("health.b", "sev2", Outcome.PASS, "fine"),
)


def test_causes_are_grouped_counted_and_sorted() -> None:
    """Failures first, the gravest first; then faults of the run; then what was not measured, each cause once."""
    checks = tuple(Planned(name, "점검", "A check", ("8/errors",), severity, "me") for name, severity, _, _ in ROWS)
    results = [CheckResult(name, outcome, message) for name, _, outcome, message in ROWS]
    causes = causes_of(Plan(STAGES["daily"], checks), results, ["interrupted", "interrupted"])
    assert [cause.text.en for cause in causes] == [
        "daily.alerts: 2 alerts",
        "daily.age: 3 d, limit < 1 d",
        "interrupted",
        "server: no answer  (2 checks)",
        "health.a: not run",
    ]
    assert causes[3].text.ko == "server: no answer  (점검 2건)"
    assert causes[3].checks == ("daily.cost", "daily.errors")
    assert causes[3].outcome is Outcome.INCONCLUSIVE
    assert causes[4].to_dict() == {
        "outcome": "inconclusive",
        "message": "not run",
        "message_ko": "not run",
        "checks": ["health.a"],
    }
