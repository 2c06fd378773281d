"""Results: what is shown of a check, and that nothing is lost between processes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from opsverify.core.plan import Planned
from opsverify.core.results import CheckResult, Measurement
from opsverify.core.stages import Outcome
from opsverify.limits import Limit

RATE = Limit.parse("< 1 %", "ratio")
PLANNED = Planned("t.case", "점검", "A check", ("8/errors", "2-2/cost"), "sev1", "me")
MEASUREMENTS = st.builds(
    Measurement.of, st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), st.just(RATE),
    samples=st.none() | st.integers(0), what=st.text(max_size=5),
)  # fmt: skip
RESULTS = st.builds(
    CheckResult, st.text(max_size=5), st.sampled_from(Outcome), st.text(max_size=9),
    st.none() | st.just("2026"), st.floats(0, 1e6), st.lists(MEASUREMENTS, max_size=3).map(tuple),
)  # fmt: skip


@given(RESULTS)
def test_wire_round_trip(result: CheckResult) -> None:
    """A result that crosses from a worker as JSON is the same at the other end."""
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_the_measurement_that_decides_is_shown() -> None:
    """The first one outside its limit stands for the check, else the first one."""
    good, bad = Measurement.of("a", 0.001, RATE, samples=7), Measurement.of("b", 0.5, RATE, samples=9)
    assert CheckResult("t", Outcome.FAIL, "", measurements=(good, bad)).decisive is bad
    assert CheckResult("t", Outcome.PASS, "", measurements=(good,)).decisive is good
    assert CheckResult("t", Outcome.PASS, "").decisive is None


def test_entry_of_the_verdict() -> None:
    """Every field of the contract is there, in base units."""
    bad = Measurement.of("errors", 0.0231, RATE, samples=4120, what="of 4,120 requests failed")
    entry = CheckResult("t.case", Outcome.FAIL, "m", "2026-11-22T20:12:33.120Z", 612.43219, (bad,)).verdict_entry(
        PLANNED
    )
    expected = {
        "id": "t.case", "title": {"ko": "점검", "en": "A check"}, "runbook": ["8", "2-2"], "severity": "sev1",
        "owner": "me", "outcome": "fail", "measured": 0.0231, "limit": "< 0.01", "unit": "ratio",
        "samples": 4120,
        "message": "m", "started_at": "2026-11-22T20:12:33.120Z", "duration_s": 612.432,
    }  # fmt: skip
    assert {name: entry[name] for name in expected} == expected


def test_messages() -> None:
    """What was counted is said in words; without words name and samples are."""
    assert Measurement.of("p95", 1.2, Limit.parse("< 1.5 s", "s")).message == "p95 1.2s, limit < 1.5s"
    assert Measurement.of("e", 0.5, RATE, samples=1234).message == "e 50% of 1,234 samples, limit < 1%"
    assert Measurement.equal("status", 200, 200).message == "status 200"
    assert Measurement.equal("status", 503, 200).message == "status 503, expected 200"
