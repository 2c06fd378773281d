"""Plots of a canary's window: every criterion and event is drawn, in the reader's language, without script."""

from __future__ import annotations

import re
from typing import Any

import pytest

from opsverify.canary.observation import ObservedStep
from opsverify.canary.observer import Observer
from opsverify.canary.trace import WindowTrace, trace
from opsverify.canary.window_setup import Setup
from opsverify.report.gate_plot import HEIGHT, STATES, WIDTH, drawn, page
from tests.canary.cluster import ERRORS, SLOW, Source
from tests.canary.situations import cluster, replaced


@pytest.fixture(scope="module")
def window() -> WindowTrace:
    """A window of two criteria in which a pod is replaced and an alert fires."""
    world = cluster(1, replaced(), counted=(ERRORS, SLOW), alerts=(("<b>Slow</b>", 420.0, 1200.0),))
    kept: list[Any] = []
    Observer(Source(world), world.clock, lambda _: None, kept.append).observe(world.setup)  # type: ignore[arg-type]
    setup, *steps = kept
    return trace(Setup.loads(setup), [ObservedStep.loads(step) for step in steps])


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


def test_every_state_has_words() -> None:
    """A state without words would break the page."""
    assert {state.name for state in STATES} == {state.name for state in type(next(iter(STATES)))}
