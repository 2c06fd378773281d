"""Limits: what may be written, what they hold, and how they read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.limits import NONE, Limit
from opsverify.units import UNITS, duration, elapsed, listed, parse_bytes, parse_duration, quantity

NUMBERS = st.integers(-10_000, 10_000).map(lambda n: n / 100)
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "=="])


@given(OPERATORS, NUMBERS, st.sampled_from([(kind, unit) for kind, units in UNITS.items() for unit in units]))
def test_parse_keeps_base_units(op: str, number: float, spelled: tuple[str, str]) -> None:
    """Every spelling of every unit becomes the base unit of its kind."""
    kind, unit = spelled
    limit = Limit.parse(f"{op} {number:g} {unit}", kind)
    assert (limit.op, limit.unit) == (op, kind)
    assert limit.bound == pytest.approx(float(f"{number:g}") * UNITS[kind][unit])


@given(OPERATORS, NUMBERS, st.sampled_from(["ratio", "count"]))
def test_text_round_trip(op: str, number: float, kind: str) -> None:
    """What `str` prints for programs is read back as the same limit."""
    limit = Limit.parse(f"{op} {number:g}", kind)
    assert Limit.parse(str(limit), kind) == limit


@given(NUMBERS, NUMBERS, NUMBERS)
def test_range_includes_both_ends(one: float, other: float, value: float) -> None:
    """A range holds its ends and what lies between, nothing else."""
    low, high = sorted((one, other))
    limit = Limit.parse(f"{low:g}..{high:g}", "count")
    assert limit.holds(limit.bound)
    assert limit.holds(limit.upper)
    assert limit.holds(value) == (limit.bound <= value <= limit.upper)


@given(OPERATORS, NUMBERS)
def test_nan_never_holds(op: str, number: float) -> None:
    """No limit whatsoever is kept by NaN."""
    assert not Limit(op, number, "count").holds(math.nan)
    assert not Limit("..", number, "count", number + 1).holds(math.nan)


@pytest.mark.parametrize(
    ("op", "below", "at", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
        ("==", False, True, False),
    ],
)
def test_boundaries(op: str, *, below: bool, at: bool, above: bool) -> None:
    """Each operator is exact at its bound: `< 1 %` does not hold 1 %."""
    limit = Limit.parse(f"{op} 1 %", "ratio")
    assert (limit.holds(0.00999), limit.holds(0.01), limit.holds(0.01001)) == (below, at, above)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("1 %", "ratio", 'is not a limit: expected an operator and a number, such as "<= 5 %"'),
        ("< one", "count", 'such as "<= 5"'),
        ("< 5 s", "ratio", "has the wrong unit: expected % or no unit"),
        ("< 5", "s", "expected ms or s or m or h or d"),
        ("=> 5", "count", "is not a limit"),
        ("< nan", "count", "is not a limit"),
        ("< inf", "count", "is not a limit"),
        ("20..10 %", "ratio", "is an empty range: expected the smaller number first"),
    ],
)
def test_bad_limits_say_the_expected_form(text: str, kind: str, said: str) -> None:
    """A limit that cannot be read names itself, what was expected, and an example."""
    with pytest.raises(ValueError, match="expected") as raised:
        Limit.parse(text, kind)
    assert f'"{text}"' in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "kind", "program", "people"),
    [
        ("< 1 %", "ratio", "< 0.01", "< 1%"),
        ("< 0.5%", "ratio", "< 0.005", "< 0.5%"),
        ("10..20 %", "ratio", "0.1..0.2", "10%..20%"),
        ("< 1.5 s", "s", "< 1.5", "< 1.5s"),
        ("<= 30 m", "s", "<= 1800", "<= 30m"),
        (">= 14 d", "s", ">= 1209600", ">= 14d"),
        ("<= 1.2 x", "times", "<= 1.2", "<= 1.2x"),
        ("== 0", "count", "== 0", "== 0"),
    ],
)
def test_a_limit_reads_well(text: str, kind: str, program: str, people: str) -> None:
    """The two ways to print a limit."""
    limit = Limit.parse(text, kind)
    assert str(limit) == program
    assert limit.text == people


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0231, "ratio", "2.31%"),
        (1.5, "ratio", "150%"),
        (0.0, "ratio", "0%"),
        (4120, "count", "4,120"),
        (2.5, "count", "2.5"),
        (12_500_000, "bytes", "12.5 MB"),
        (0, "bytes", "0"),
        (0.34, "s", "340ms"),
        (0, "s", "0s"),
        (5400, "s", "90m"),
        (3661, "s", "1.02h"),
        (3.5, "usd", "3.5 USD"),
        (math.nan, "s", "nan"),
    ],
)
def test_quantities_read_well(value: float, unit: str, said: str) -> None:
    """Values are printed as a person would say them."""
    assert quantity(value, unit) == said


@given(st.integers(1, 10_000), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_round_trip(number: int, unit: str) -> None:
    """A duration is read in any unit, and its print is the same duration again (to three digits)."""
    seconds = parse_duration(f"{number}{unit}")
    assert seconds == pytest.approx(number * UNITS["s"][unit])
    assert parse_duration(duration(seconds).replace(",", "")) == pytest.approx(seconds, rel=0.006)


@pytest.mark.parametrize("text", ["", "12", "m", "-5m", "12 minutes", "1h30m"])
def test_bad_durations(text: str) -> None:
    """What is no duration is refused with an example."""
    with pytest.raises(ValueError, match='such as "12m"'):
        parse_duration(text)


def test_listed_names_the_first_few() -> None:
    """Many names are cut, with a count of the rest; none leave the text alone."""
    assert listed("down", []) == "down"
    assert listed("down", ["a", "b"]) == "down: a, b"
    assert listed("down", ["a", "b", "c", "d", "e"]) == "down: a, b, c and 2 more"


def test_none_is_not_a_single_one() -> None:
    """`NONE` holds zero only."""
    assert NONE.holds(0)
    assert not NONE.holds(1)


@given(
    st.sampled_from(["< 5 %", "<= 5 %", "> 5 %", ">= 5 %", "== 5 %", "3..5 %"]),
    st.floats(min_value=0, max_value=0.1),
    st.floats(min_value=0, max_value=0.1),
    st.floats(min_value=0, max_value=1),
)
def test_an_interval_reaches_a_limit_that_one_of_its_values_is_in(
    text: str, one: float, other: float, at: float
) -> None:
    """`reaches` is false only where no value of the interval holds."""
    limit, (low, high) = Limit.parse(text, "ratio"), sorted((one, other))
    inside = min(high, max(low, low + at * (high - low)))
    assert limit.reaches(low, high) or not limit.holds(inside)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0344, "34ms"), (3.336, "3.34s"), (59.9, "59.9s"), (299, "4m 59s"), (4320, "1h 12m")]
)
def test_measured_times_read_at_a_glance(seconds: float, said: str) -> None:
    """Whatever the size, two units at most."""
    assert elapsed(seconds) == said


def test_sizes() -> None:
    """Sizes are written as people say them; anything else is refused with an example."""
    assert parse_bytes("500 GB") == 500e9
    assert parse_bytes("1.5TB") == 1.5e12
    for text in ("500", "500 GiB", "-1 GB", "much"):
        with pytest.raises(ValueError, match="500 GB"):
            parse_bytes(text)
