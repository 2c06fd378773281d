"""Form of limits: none of them can be written so that no platform ever fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.limits import Limits
from opsverify.errors import TargetError
from opsverify.language.message import in_language
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.limits import Limit

KEYS = sorted(Limits.model_fields)
UPPER = ("<", "<=", "==")
SPELLED = {"ratio": " %", "s": " s", "bytes": " MB", "count": "", "usd": " usd", "times": " x"}


def default_of(key: str) -> Limit:
    """The runbook's value."""
    limit: Limit = Limits.model_fields[key].default
    return limit


def refused(folder: Path, key: str, written: str) -> str:
    """What the loader says about one limit; it has to be one line with file and key."""
    with pytest.raises(TargetError) as raised:
        target_in(folder, f"{SMALLEST}\n[limits]\n{key} = '{written}'\n")
    (line,) = raised.value.problems
    head = f"{folder / 't.toml'}: limits.{key}: "
    assert line.startswith(head), line
    assert in_language(line, "ko") != line
    return line.removeprefix(head)


@pytest.mark.parametrize("key", KEYS)
def test_the_default_is_of_its_own_form_and_can_be_copied(key: str) -> None:
    """The value that the docs show is taken as it stands there."""
    default = default_of(key)
    assert Limits.form_of(key).read(default.text) == default
    assert getattr(Limits(**{key: default.text}), key) == default


@pytest.mark.parametrize("key", KEYS)
def test_the_other_direction_is_refused(tmp_path: Path, key: str) -> None:
    """A backup that must be older than a week, or connections above 80 %, are slips."""
    default = default_of(key)
    unit = SPELLED[default.unit]
    wrong = ["<="] if default.op == ".." else [">=", ">"] if default.op in UPPER else ["<=", "<"]
    ranges = [] if default.op == ".." else [f"1..5{unit}"]
    for written in (*(f"{op} 5{unit}" for op in (*wrong, "==")), *ranges):
        said = refused(tmp_path, key, written)
        assert "expected " in said
        assert default.text in said or "canary's limit" in said


@pytest.mark.parametrize("key", [key for key in KEYS if default_of(key).unit == "ratio"])
def test_a_share_without_its_percent_sign_is_refused(tmp_path: Path, key: str) -> None:
    """`<= 90` is 9,000 %, which nothing exceeds; a plain ratio is one of 0 to 1."""
    op = default_of(key).op.replace("==", "<=")
    bare = "10..20" if op == ".." else f"{op} 90"
    percent = "2,000%" if op == ".." else "9,000%"
    assert refused(tmp_path, key, bare) == f'"{bare}" is a limit of {percent}: write "{bare} %"'
    assert "expected " in refused(tmp_path, key, "10..150 %" if op == ".." else f"{op} 150 %")
    assert getattr(Limits(**{key: "0.1..0.2" if op == ".." else f"{op} 0.9"}), key).unit == "ratio"


@pytest.mark.parametrize("key", KEYS)
def test_bounds_that_no_platform_has_are_refused(tmp_path: Path, key: str) -> None:
    """Less than nothing, more than everything, and what is not finite."""
    default = default_of(key)
    unit, op = SPELLED[default.unit], default.op.replace("==", "<=")
    for number in ("-5", "9" * 23, "9" * 400):
        said = refused(tmp_path, key, f"{number}..{number}{unit}" if op == ".." else f"{op} {number}{unit}")
        assert "expected " in said
    for number in ("inf", "nan", "1e3"):
        said = refused(tmp_path, key, f"1..{number}{unit}" if op == ".." else f"{op} {number}{unit}")
        assert "is not a limit: expected an operator and a number" in said


@pytest.mark.parametrize(
    ("key", "written", "said"),
    [
        ("error_rate", "<= 100 %", "<= 100% cannot be a canary's limit: expected < or <= and a share between 0 % and"),
        ("cache_hit_rate", ">= 0 %", ">= 0% cannot be a canary's limit: expected > or >= and a share between 0 % and"),
        ("traffic_share", "10 %..20", '"10 %..20" has the wrong unit: expected '),
        ("storage_free", ">= 0 %", '>= 0% is always met: expected a larger one, such as ">= 10%"'),
        ("deadlocks", "< 0", '< 0 is never met: expected a larger one, such as "<= 5"'),
        ("firing_alerts", "== 0.5", 'expected a limit to the upper end (<, <=, or == 0), such as "== 0", not == 0.5'),
        ("waivers", "<= 99999", 'expected 0 to 50, such as "<= 5", not <= 99,999'),
        ("postgres_latency", "< 99999999999999999999999 d", 'expected 0 to 36500d, such as "< 500ms", not < '),
    ],
)
def test_what_is_said(tmp_path: Path, key: str, written: str, said: str) -> None:
    """A reader corrects the line from the message alone."""
    assert refused(tmp_path, key, written).startswith(said)


def test_an_own_latency_of_a_service_has_a_direction(tmp_path: Path) -> None:
    """It stands in the service's table, and is the same limit."""
    with pytest.raises(TargetError, match=r"services\.a\.latency: expected a limit to the upper end"):
        target_in(tmp_path, f"{SMALLEST}latency = '> 2 s'\n")


@given(st.sampled_from(KEYS), st.floats(0.01, 0.99), st.booleans())
def test_stricter_and_looser_limits_are_taken(key: str, share: float, strict: bool) -> None:  # noqa: FBT001 - drawn
    """Every limit can still be set to another number of its direction."""
    default = default_of(key)
    op = {"==": "<="}.get(default.op, default.op)
    op = op[0] if strict and op != ".." else op
    number = f"{share:.4f}"
    written = f"{number}..{number}" if op == ".." else f"{op} {number}{SPELLED[default.unit].replace(' %', '')}"
    taken = getattr(Limits(**{key: written}), key)
    assert (taken.op, taken.unit) == (op, default.unit)
