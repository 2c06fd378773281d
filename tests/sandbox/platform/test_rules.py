"""The rules of a judgment: inputs, thresholds, cache keys."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.platform.rules import SENSORS, InvalidInputError, Reading, Ruleset, cache_key, wrong

RULES = Ruleset(
    version="r12",
    warn={"temperature": 80.0, "pressure": 3.0, "vibration": 4.5},
    alarm={"temperature": 95.0, "pressure": 4.0, "vibration": 7.1},
)
BODY = {"line_code": "L03", "temperature": 71.5, "pressure": 2.1, "vibration": 0.4}
values = st.floats(min_value=-50, max_value=200)
readings = st.builds(
    Reading,
    line_code=st.from_regex(r"L\d{2}", fullmatch=True),
    temperature=values,
    pressure=values,
    vibration=values,
    note=st.text(max_size=20),
)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, "OK"),
        ({"temperature": 80}, "WARN"),
        ({"temperature": 79.999}, "OK"),
        ({"temperature": 95}, "ALARM"),
        ({"pressure": 3.99, "vibration": 7.1}, "ALARM"),
    ],
)
def test_thresholds_belong_to_the_worse_side(change: dict[str, float], result: str) -> None:
    """A value on its threshold already counts, and the worst sensor decides."""
    assert RULES.decide(Reading.parse(BODY | change))[0] == result


@given(readings)
def test_only_doubtful_readings_reach_the_llm(reading: Reading) -> None:
    """A reading is clear exactly when it has no remark and does not just warn."""
    assert RULES.is_clear(reading) is (not reading.note and RULES.decide(reading)[0] != "WARN")


@given(readings, st.sampled_from(SENSORS), st.floats(min_value=0, max_value=100))
def test_a_worse_value_never_calms(reading: Reading, sensor: str, more: float) -> None:
    """Raising one sensor never lowers the result."""
    order = ["OK", "WARN", "ALARM"]
    body = reading.to_dict()
    worse = Reading.parse(body | {sensor: body[sensor] + more})
    assert order.index(RULES.decide(worse)[0]) >= order.index(RULES.decide(reading)[0])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "object"),
        (BODY | {"line_code": "3"}, "line_code"),
        (BODY | {"temperature": "hot"}, "temperature"),
        (BODY | {"pressure": True}, "pressure"),
        (BODY | {"vibration": float("nan")}, "vibration"),
        (BODY | {"note": 5}, "note"),
        ({key: BODY[key] for key in ("line_code", "temperature", "pressure")}, "vibration"),
    ],
)
def test_a_wrong_input_is_named(body: object, named: str) -> None:
    """A refused body says which field is wrong."""
    with pytest.raises(InvalidInputError, match=named):
        Reading.parse(body)


@given(readings)
def test_a_reading_survives_json(reading: Reading) -> None:
    """What is stored can be read back as the same reading."""
    assert Reading.parse(json.loads(json.dumps(reading.to_dict()))) == reading


ZERO = Reading(line_code="L03", temperature=0.0, pressure=2.0, vibration=1.0, note="")


@given(readings, readings)
@example(ZERO, replace(ZERO, temperature=-0.0))
def test_cache_keys_tell_inputs_apart(one: Reading, other: Reading) -> None:
    """Two readings share a key exactly when they are equal."""
    assert (cache_key(one, "r1", "p1") == cache_key(other, "r1", "p1")) is (one.to_dict() == other.to_dict())


def test_cache_keys_tell_versions_apart() -> None:
    """A new rule or prompt version never gets an old result."""
    reading = Reading.parse(BODY)
    keys = {cache_key(reading, rule, prompt) for rule in ("r1", "r2") for prompt in ("p1", "p2")}
    assert len(keys) == 4


@pytest.mark.parametrize("result", ["OK", "WARN", "ALARM"])
def test_a_wrong_result_is_wrong(result: str) -> None:
    """The broken fallback never hits by accident."""
    assert wrong(result) != result  # type: ignore[arg-type]  # parametrized over the literal's values


def test_rules_come_from_the_table() -> None:
    """The body column of rule_versions is understood."""
    assert Ruleset.parse("r12", {"warn": RULES.warn, "alarm": RULES.alarm}) == RULES
