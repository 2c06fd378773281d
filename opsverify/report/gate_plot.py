"""Plots of a canary window: value, bound and evidence of every criterion over time, with the events on the same axis.

Coordinates are computed here; `templates/gate.html.j2` writes them without script. Texts are HTML beside the drawings,
so that they stay readable at any width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.canary.assessment import CriterionState
from opsverify.canary.trace import EventKind, trace
from opsverify.core.decision_words import DECISIONS
from opsverify.language.message import in_language, say
from opsverify.report.template import fill, markup
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.canary.observation import ObservedStep
    from opsverify.canary.trace import CriterionTrace, WindowTrace
    from opsverify.canary.window_setup import Setup

WIDTH: Final = 600
HEIGHT: Final = 100
_TICKS: Final = 4
_HEADROOM: Final = 1.15
_MOST_EVENTS: Final = 40
_KINDS: Final = {
    EventKind.CAME: say("pod came"),
    EventKind.WENT: say("pod went"),
    EventKind.RESTART: say("restart"),
    EventKind.GAP: say("gap in the samples"),
    EventKind.ALERT: say("alert"),
    EventKind.DECISION: say("decision"),
}
STATES: Final = {
    CriterionState.BREACH_PROVEN: say("breach proven"),
    CriterionState.BREACH_MEASURED: say("outside its limit, not proven"),
    CriterionState.TOO_FEW: say("too few samples"),
    CriterionState.UNOBSERVED: say("not observed well enough"),
    CriterionState.WITHIN: say("within its limit, not proven"),
    CriterionState.BELOW_PROVEN: say("within its limit, proven"),
}
"""The words for the state of a criterion."""
_COLOURS: Final = {
    CriterionState.BREACH_PROVEN: "over",
    CriterionState.BREACH_MEASURED: "over",
    CriterionState.BELOW_PROVEN: "well",
}
TITLES: Final = {
    "error_rate": say("Canary error rate"),
    "judgment_p95": say("Canary judgment p95 latency"),
    "llm_parse_failures": say("Canary LLM parse failures"),
    "workflow_failures": say("Canary workflow failures"),
    "mcp_timeouts": say("Canary MCP timeouts"),
    "cache_hits": say("Canary cache hit rate"),
}
"""The titles of our criteria, as their checks have them: a window's file has ids only. Others are shown by their id."""
_WORDS: Final = {
    "heading": say("Canary window"),
    "value": say("value"),
    "bound": say("proven bound"),
    "limit": say("limit"),
    "breach": say("evidence of a breach"),
    "below": say("evidence of being within"),
    "needed": say("proven from here on"),
    "evidence": say("evidence (e-value, powers of ten)"),
    "events": say("Events"),
    "none": say("no pod came or went, no restart, gap or alert"),
}
_UNDECIDED: Final = say("not decided yet")


@dataclass(frozen=True)
class Plot:
    """Two drawings of one criterion: `value` and `bound` against `limit_y`, the evidence against what is needed."""

    name: str
    title: str
    scale: str
    shown: str
    limit: str
    state: str
    kind: str
    value: str
    bound: str
    limit_y: float
    breach: str
    below: str
    breach_y: float
    below_y: float
    top_e: str


@dataclass(frozen=True)
class EventMark:
    """One event: its number, its place in percent of the axis, and its texts."""

    number: int
    left: float
    kind: str
    css: str
    at: str
    text: str


def plots_of(setup: Setup, steps: Sequence[ObservedStep], language: str) -> str:
    """The plots of a window as HTML in `ko` or `en`, to be put into a page."""
    return drawn(trace(setup, steps), language)


def drawn(window: WindowTrace, language: str) -> str:
    """The plots of a traced window as HTML in `ko` or `en`."""
    length = window.length_s
    outcome = in_language(DECISIONS.get(window.decision.outcome.value, _UNDECIDED), language)
    marks = [
        EventMark(
            number,
            100 * min(1.0, event.at_s / length),
            in_language(_KINDS[event.kind], language),
            f"at-{event.kind.name.lower()}",
            elapsed(event.at_s),
            # The kind already says that it is the decision.
            outcome if event.kind is EventKind.DECISION else in_language(event.text, language),
        )
        for number, event in enumerate(window.events[-_MOST_EVENTS:], 1)
    ]
    return fill(
        "gate.html.j2",
        width=WIDTH,
        height=HEIGHT,
        words={name: in_language(word, language) for name, word in _WORDS.items()},
        language=language,
        outcome=outcome,
        reasons=[in_language(reason, language) for reason in window.decision.reasons],
        plots=[_plot(one, length, language) for one in window.criteria],
        events=marks,
        ticks=[(100 * part / _TICKS, elapsed(round(length * part / _TICKS))) for part in range(_TICKS + 1)],
    )


def page(window: WindowTrace, title: str, language: str) -> str:
    """The plots as a page of their own, in both languages; `language` is shown first."""
    return fill(
        "gate_page.html.j2",
        title=title,
        language=language,
        ko=markup(drawn(window, "ko")),
        en=markup(drawn(window, "en")),
    )


def _plot(one: CriterionTrace, length: float, language: str) -> Plot:
    rule, points = one.criterion, one.points
    last = points[-1] if points else None
    shares = [point.share for point in points if point.share is not None]
    top = _HEADROOM * max([rule.limit, *(min(share, 4 * rule.limit) for share in shares)])
    powers = [point.breach for point in points] + [point.below for point in points]
    needed = max(one.breach_needed, one.below_needed)
    top_e = _HEADROOM * min(2 * needed, max([needed, *powers]))
    state = last.state if last else CriterionState.TOO_FEW
    return Plot(
        name=rule.name,
        title=in_language(TITLES.get(rule.name, ""), language),
        # A hit rate is drawn by its misses, so that up is worse in every drawing: both ends have to be said.
        scale=in_language(
            say("share, {bottom} at the bottom, {top} at the top", bottom=rule.text(0.0), top=rule.text(min(1.0, top))),
            language,
        ),
        shown="-" if last is None or last.share is None else rule.text(last.share),
        limit=rule.limit_text,
        state=in_language(STATES[state], language),
        kind=_COLOURS.get(state, "unknown"),
        value=_path(((point.at_s, point.share) for point in points), length, top),
        bound=_path(((point.at_s, point.bound if point.trials else None) for point in points), length, top),
        limit_y=_y(rule.limit, top),
        breach=_path(((point.at_s, point.breach) for point in points), length, top_e),
        below=_path(((point.at_s, point.below) for point in points), length, top_e),
        breach_y=_y(one.breach_needed, top_e),
        below_y=_y(one.below_needed, top_e),
        top_e=f"10^{top_e / math.log(10):.1f}",
    )


def _path(points: Iterable[tuple[float, float | None]], length: float, top: float) -> str:
    """SVG path through the points, interrupted where there is no value."""
    path, drawing = [], False
    for at_s, value in points:
        if value is None:
            drawing = False
            continue
        path.append(f"{'L' if drawing else 'M'}{WIDTH * min(1.0, at_s / length):.1f} {_y(value, top):.1f}")
        drawing = True
    return " ".join(path)


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - min(1.0, max(0.0, value / top))), 1)
