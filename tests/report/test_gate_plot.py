"""Plots of a canary's window: every criterion and event is drawn, in the reader's language, without script."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opsverify.report.gate_plot import HEIGHT, STATES, TITLES, WIDTH, drawn, page
from tests.support.gate_window import observed
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from opsverify.canary.criterion import Criterion
    from opsverify.canary.trace import WindowTrace


def criteria() -> tuple[Criterion, ...]:
    """Those of the suite, which nothing imports."""
    spec = importlib.util.spec_from_file_location("canary_suite", REPOSITORY / "checks" / "test_canary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: tuple[Criterion, ...] = module.CRITERIA
    return found


@pytest.fixture(scope="module")
def window() -> WindowTrace:
    """A window of two criteria in which a pod is replaced and an alert fires."""
    return observed()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_criterion_and_event_is_drawn(window: WindowTrace, language: str) -> None:
    """Value, bound, limit and evidence of each criterion, and each event in every drawing and in the list."""
    html = drawn(window, language)
    assert html.count("<figure") == 2
    for part in ('<path class="value"', '<path class="bound"', '<path class="breach"', '<path class="below"'):
        assert html.count(part) == 2
    assert html.count('<line class="event ') == 4 * len(window.events)
    assert html.count("<li><b") == len(window.events)
    assert ("카나리 관찰 구간" in html) == (language == "ko")


def test_every_coordinate_is_inside_its_drawing(window: WindowTrace) -> None:
    """Nothing is drawn where it is not seen."""
    for path in re.findall(r' d="([^"]*)"', drawn(window, "en")):
        pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", path)
        assert pairs
        assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in pairs)


def test_a_name_is_never_markup(window: WindowTrace) -> None:
    """What came from Prometheus is shown, and does nothing."""
    html = page(window, "<i>run</i>", "ko")
    assert "<b>Slow" not in html
    assert "&lt;b&gt;Slow" in html
    assert "<i>run" not in html
    assert "<script" not in html


def test_criteria_are_named_as_their_checks_are() -> None:
    """Title and id: a window's file has ids only, and a page has titles."""
    assert {one.name: (text.ko, text.en) for one in criteria() for text in [TITLES[one.name]]} == {
        one.name: (one.ko, one.en) for one in criteria()
    }


def test_a_decision_is_told_once_and_in_the_readers_language(window: WindowTrace) -> None:
    """`결정 · 롤백`, not `결정 · 결정: rollback`."""
    assert "결정 · 롤백" in drawn(window, "ko")
    assert "decision · roll back" in drawn(window, "en")


def test_both_ends_of_a_scale_are_said(window: WindowTrace) -> None:
    """A hit rate of 65 % beside a lone 8 % is a riddle: it is drawn by its misses."""
    assert re.search(r"share, 0% at the bottom, [\d.]+% at the top", drawn(window, "en"))
    hits = replace(window.criteria[0], criterion=replace(window.criteria[0].criterion, inverse=True))
    shown = drawn(replace(window, criteria=(hits,)), "en")
    assert re.search(r"share, 100% at the bottom, [\d.]+% at the top", shown)


def test_every_state_has_words() -> None:
    """A state without words would break the page."""
    assert {state.name for state in STATES} == {state.name for state in type(next(iter(STATES)))}
