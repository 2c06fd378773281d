"""Korean sentences: what was measured comes first, the value after it, and one term stands for one thing."""

from __future__ import annotations

import re

import pytest

from opsverify.core.results import Measurement
from opsverify.language.catalogue import by_package
from opsverify.language.message import as_message, say
from opsverify.limits import Limit
from opsverify.units import listed, quantity

NONE = Limit("<=", 0, "count")


@pytest.mark.parametrize(
    ("measurement", "korean"),
    [
        (
            Measurement.of("x", 0.0, Limit("<=", 0, "s"), what=say("longest, none open")),
            "가장 오래 열린 트랜잭션(열린 것 없음): 0s, 기준 <= 0s",
        ),
        (
            Measurement.of(
                "x",
                0.97,
                Limit("<=", 0.9, "ratio"),
                what=say("of {max_connections} connections used", max_connections=100),
            ),
            "사용 중(연결 100개 중): 97%, 기준 <= 90%",
        ),
        (
            Measurement.of("x", 1, NONE, what=listed(say("of {count} targets down", count=3), ["edge"])),
            "수집 안 됨(대상 3개 중) [edge]: 1, 기준 <= 0",
        ),
        (Measurement.of(say("latency"), 0.5, Limit("<", 1, "s")), "응답 지연: 500ms, 기준 < 1s"),
        (Measurement.equal(say("revision"), "40", "41"), "리비전: 40, 기대값 41"),
    ],
    ids=["note", "share", "names", "name", "equal"],
)
def test_what_was_measured_comes_before_its_value(measurement: Measurement, korean: str) -> None:
    """`0 keys evicted` is English; a Korean reader looks for what it is first."""
    assert as_message(measurement.message).ko == korean


def test_what_the_target_lacks_is_said_once() -> None:
    """Not `없음` three times in one line."""
    absence = say("{part} absent", part="alertmanager")
    assert say("the target declares {absence}", absence=absence).ko == "대상 선언에 따라 alertmanager 없음"
    assert say("the target lists no {what}", what=say("migration")).ko == "대상에 마이그레이션이 적혀 있지 않음"


def test_a_small_share_has_no_exponent() -> None:
    """As it is read aloud."""
    assert quantity(6.05e-9, "ratio") == "0.000000605%"
    assert quantity(0.0231, "ratio") == "2.31%"
    assert quantity(0.0, "ratio") == "0%"


def test_no_text_begins_as_if_a_number_came_before_it() -> None:
    """What `of=` says stands first in Korean: it begins with no counter, particle or bracket of its own."""
    started = re.compile(r"\(|(건의|건|개|회|후|동안|분량의|행이|페이지의|을|를|은|는|중)[ :]")
    wrong = [
        korean
        for package, entries in by_package().items()
        if package.startswith(("suite.", "metrics", "playbook", "canary"))
        for english, korean in entries.items()
        if re.match(r"(of|since|to|from|in|after) ", english) and started.match(korean)
    ]
    assert wrong == []


def test_a_particle_after_a_parameter_has_both_forms() -> None:
    """What stands before it is known when it is said: 403 is read with a consonant at its end, 404 without."""
    one_form = re.compile(r"(?<!\})\}(을|를|은|는|이|가|과|와|로|으로)(?![가-힣(])")
    wrong = [korean for entries in by_package().values() for korean in entries.values() if one_form.search(korean)]
    assert wrong == []
