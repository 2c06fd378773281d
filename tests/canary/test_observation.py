"""The evidence file of a window: what was written is what is read, and nothing else is."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.observation import ObservedStep, read_observation
from opsverify.canary.policy import GateCriterion, Policy
from opsverify.canary.window_setup import Counted, Setup
from opsverify.errors import EvidenceError
from opsverify.evidence.redact import Recurring, Redactor
from opsverify.language.message import Message, in_language

if TYPE_CHECKING:
    from pathlib import Path

SETUP = Setup(
    start=7.0,
    policy=Policy(end_rule="proof"),
    counted=(Counted(criterion=GateCriterion(name="x", limit=0.01, min_samples=5), bad="bad", trials="all"),),
)
STEPS = st.builds(
    ObservedStep,
    st.floats(0, 1e10),
    st.none() | st.text(max_size=5),
    st.dictionaries(
        st.sampled_from(["canary", "baseline"]),
        st.dictionaries(
            st.sampled_from(["requests", "llm_cost"]),
            st.dictionaries(
                st.text(max_size=4),
                st.dictionaries(st.floats(0, 1e10), st.floats(allow_nan=False), max_size=3),
                max_size=2,
            ),
            max_size=2,
        ),
        max_size=2,
    ),
    st.lists(st.text(max_size=4), max_size=2).map(tuple),
)


@given(STEPS)
def test_a_step_survives_its_line(step: ObservedStep) -> None:
    """What the file holds gives the same step at any later time; every line is standard JSON."""
    line = step.dumps()
    json.loads(line, parse_constant=pytest.fail)
    assert "\n" not in line
    assert ObservedStep.loads(line) == step


def test_both_languages_survive_the_file() -> None:
    """What a criterion counts and why a step has no samples are in Korean after the file as well."""
    read = ObservedStep.loads(ObservedStep(1.0, Message.of("no answer", "응답 없음")).dumps())
    assert in_language(read.fault or "", "ko") == "응답 없음"
    criterion = GateCriterion(name="x", limit=0.01, min_samples=5, counted=Message.of("requests failed", "요청 실패"))
    setup = Setup.loads(replace(SETUP, counted=(Counted(criterion=criterion, bad="bad", trials="all"),)).dumps())
    assert in_language(setup.counted[0].criterion.counted, "ko") == "요청 실패"


def test_nan_survives_too() -> None:
    """A counter that was no number is no number in the evidence."""
    step = ObservedStep(1.0, None, {"canary": {"requests": {"a": {1.0: math.nan}}}})
    assert math.isnan(ObservedStep.loads(step.dumps()).samples["canary"]["requests"]["a"][1.0])


def test_read_back(tmp_path: Path) -> None:
    """Header and steps in their order."""
    path = tmp_path / "observation.jsonl.gz"
    steps = (ObservedStep(8.0, "no answer"), ObservedStep(9.0, None, {"canary": {}}, ("Hot",)))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in (SETUP.dumps(), *(step.dumps() for step in steps)))
    assert read_observation(path) == (SETUP, steps)


@pytest.mark.parametrize("content", [b"", b"{}\n", SETUP.dumps().encode() + b"\n{}\n", b"\xff"])
def test_what_is_no_observation_is_refused(content: bytes, tmp_path: Path) -> None:
    """A damaged file decides nothing; the message names it."""
    path = tmp_path / "observation.jsonl.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(EvidenceError, match="cannot be read as an observation"):
        read_observation(path)


def test_a_cut_or_plain_file_is_refused(tmp_path: Path) -> None:
    """Neither is half a file an observation, nor one that is not compressed, nor one that is not there."""
    path = tmp_path / "observation.jsonl.gz"
    for content in (gzip.compress(SETUP.dumps().encode())[:-20], SETUP.dumps().encode()):
        path.write_bytes(content)
        with pytest.raises(EvidenceError, match=r"observation\.jsonl\.gz"):
            read_observation(path)
    path.unlink()
    with pytest.raises(EvidenceError, match="no observation"):
        read_observation(path)


def test_a_secret_of_digits_is_masked_in_names_and_never_in_values() -> None:
    """A masked sample would count for something else: its number stays, and so does what it decides."""
    pin = 48151623420815
    shown = Recurring(Redactor([str(pin)]))
    step = ObservedStep(2.0, None, {"canary": {"requests": {f"__name__=r,pin={pin}": {1.0: pin}}}}, (f"pin {pin}",))
    read = ObservedStep.loads("".join(step.parts(shown.text)))
    assert read.samples == {"canary": {"requests": {"__name__=r,pin=[redacted]": {1.0: pin}}}}
    assert read.alerts == ("pin [redacted]",)


def test_no_secret_gets_into_a_line() -> None:
    """Names of series, alerts and the fault are redacted, and a name that comes again as the first time."""
    shown = Recurring(Redactor(["hunter2-is-no-password"]))
    secret = "code=hunter2-is-no-password"
    step = ObservedStep(1.0, f"no answer: {secret}", {"canary": {"requests": {secret: {1.0: 2.0}}}}, (secret,))
    for _ in range(2):
        line = "".join(replace(step, alerts_since={secret: 5.0}).parts(shown.text))
        assert "hunter2" not in line
        read = ObservedStep.loads(line)
        assert read.alerts == tuple(read.alerts_since) == tuple(read.samples["canary"]["requests"])
        assert read.alerts == ("code=[redacted]",)
        assert read.fault == "no answer: code=[redacted]"
