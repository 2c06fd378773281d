"""Series of two signals: which pairs are asked for, what their series tell, and who holds for it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, cast

import pytest

from opsverify import Inconclusive
from opsverify.config.model import PrometheusConfig
from opsverify.config.signals import SHARES, Signals
from opsverify.metrics.after_rollback import BASELINE, EVERYTHING, AfterRollback
from opsverify.metrics.lookback import Lookback
from opsverify.metrics.same_series import SignalPair, Told, same_share, suspects, told, told_if_answered
from opsverify.probes.prometheus_values import Sample, Series, Vector
from opsverify.probes.source_fault import FaultReason, SourceFault
from tests.canary.named_cluster import target_at

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.probes.prometheus import Prometheus

NOW = 1_700_000_000.0
PAIR = SignalPair("a", "b", ("x{k='1'}", "x{k=~'1'}"), bad=False)


class Counts:
    """A Prometheus that counts series: by selector, lately and in seven days; together as many as it is told."""

    def __init__(self, lately: tuple[int, int, int], week: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.of = {"5m": lately, "7d": week}
        self.asked: list[str] = []

    def whole(self, query: str) -> Vector:
        """Answer both forms of question."""
        self.asked.append(query)
        first, second, together = self.of["7d" if "[7d]" in query else "5m"]
        if " or " in query:
            number, labels = together, {}
        else:
            number, labels = first if PAIR.selectors[0] in query else second, {"__name__": "x"}
        return Vector((Sample(labels, number, NOW),) if number else (), (), NOW, query)

    def now(self) -> float:
        """The time of the newest sample."""
        return NOW

    def history(self, selector: str, _span_s: float, _at: float | None = None) -> tuple[Series, ...]:
        """Trials and good ones are the same two series."""
        points = ((NOW - 60, 0.0), (NOW, 100.0))
        return tuple(Series({"__name__": "x", "i": i}, points) for i in "12") if selector else ()


def counting(*counts: tuple[int, int, int]) -> Prometheus:
    """Such a Prometheus."""
    return cast("Prometheus", Counts(*counts))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (((2, 2, 2), (2, 2, 2)), Told.SAME),
        (((2, 2, 2), (2, 2, 3)), Told.APART),
        (((2, 2, 2), (3, 2, 3)), Told.APART),
        (((2, 2, 3), (2, 2, 2)), Told.APART),
        (((2, 1, 2), (2, 2, 2)), Told.APART),
        (((2, 0, 2), (2, 2, 2)), Told.UNKNOWN),
        (((0, 0, 0), (2, 2, 2)), Told.UNKNOWN),
    ],
)
def test_one_series_tells_two_signals_apart(counts: tuple[tuple[int, int, int], ...], expected: Told) -> None:
    """Lately or in seven days; seven days are asked for only where lately they were the same."""
    prometheus = counting(*counts)
    assert told(prometheus, PAIR) is expected
    week = any("[7d]" in query for query in cast("Counts", prometheus).asked)
    assert week == (counts[0] == (2, 2, 2))


def test_no_answer_is_unknown() -> None:
    """A source that refuses the question neither accuses nor acquits."""

    class Refusing(Counts):
        def whole(self, query: str) -> Vector:
            raise SourceFault(FaultReason.BAD_QUERY, query)

    assert told_if_answered(cast("Prometheus", Refusing((2, 2, 2))), PAIR) is Told.UNKNOWN


@pytest.mark.parametrize(("bad", "possible"), [(True, {Told.SAME}), (False, {Told.SAME, Told.UNKNOWN})])
def test_what_equal_series_in_a_window_mean(*, bad: bool, possible: set[Told]) -> None:
    """All requests of a window may have failed; all good ones, or two trials, are no such chance."""
    pair = SignalPair("a", "b", ("x", "y"), bad=bad)
    assert {one for one in Told if pair.possible(one)} == possible


@pytest.mark.parametrize("share", SHARES.values(), ids=lambda share: share.bad)
@pytest.mark.parametrize(
    ("match", "suspect"),
    [
        ('o="ok"', False), ('o=~"[23].."', False), ('o=~"ok|fine"', False),
        ('o!="bad"', True), ('o=~".+"', True), ('o=~"[25].."', True), ("", True),
    ],
)  # fmt: skip
def test_good_ones_that_take_failed_ones_along(share: object, match: str, *, suspect: bool) -> None:
    """A selector that picks values by name leaves out what is new; one that leaves out by name does not."""
    good, trials = share.good, share.trials  # type: ignore[attr-defined]
    signals = Signals.model_validate({trials: {"metric": "x"}, good: {"promql": f"x{{{match},$scope}}"}})
    if match:
        signals = Signals.model_validate({trials: {"metric": "x"}, good: {"metric": "x", "match": match}})
    names = {frozenset((pair.one, pair.other)) for pair in suspects(signals, 1.5)}
    assert (frozenset((good, trials)) in names) == suspect


def test_what_is_not_read_is_not_asked_for() -> None:
    """Absent signals, and bad ones whose good ones are counted, are in no pair."""
    signals = Signals.model_validate(
        {
            "requests": {"metric": "x"},
            "request_good": {"metric": "x", "match": 'o="ok"'},
            "llm_calls": {"absent": "none"},
        }
    )
    names = {name for pair in suspects(signals, 1.5) for name in (pair.one, pair.other)}
    assert names.isdisjoint({"request_errors", "requests", "llm_calls", "llm_failures"})
    assert {"mcp_calls", "mcp_timeouts"} <= names


def test_a_selector_without_a_metric_is_asked_for_with_every_other() -> None:
    """What it selects from is not known."""
    signals = Signals.model_validate({"llm_cost": {"promql": '{__name__="x",$scope}'}})
    others = [pair for pair in suspects(signals, 1.5) if "llm_cost" in (pair.one, pair.other)]
    assert (
        len(others)
        == sum(signals.absent(name) is None and getattr(signals, name) is not None for name in Signals.model_fields) - 1
    )


GOOD = {"requests": {"metric": "x", "match": "k='1'"}, "request_good": {"metric": "x", "match": "k=~'1'"}}


def test_daily_shares_hold_for_good_ones_that_are_all_trials() -> None:
    """0 % for ever is no measurement; bad ones that are all trials lately are one."""
    config = PrometheusConfig.model_validate({"url": "http://p", "lookback": "1h", "signals": GOOD})
    lookback = Lookback(counting((2, 2, 2), (2, 2, 2)), config, lambda: NOW)
    with pytest.raises(Inconclusive, match=r"requests and request_good count the same series"):
        lookback.rate("request_errors", "requests")
    bad = {"requests": GOOD["requests"], "request_errors": GOOD["request_good"]}
    config = PrometheusConfig.model_validate({"url": "http://p", "lookback": "1h", "signals": bad})
    lookback = Lookback(counting((2, 2, 2), (3, 2, 3)), config, lambda: NOW)
    assert lookback.rate("request_errors", "requests").share == 1.0


def test_a_rollback_holds_for_good_ones_that_are_all_trials(tmp_path: Path) -> None:
    """What was found while the rolled back platform was observed is kept, and said by its checks."""
    signals = Signals.model_validate(GOOD)
    text = same_share(counting((2, 2, 2), (2, 2, 2)), signals, "request_errors")
    assert text is not None
    series = {"requests": {"i=1": {NOW: 5.0}}, "request_good": {"i=1": {NOW: 5.0}}}
    content = {
        "start": NOW - 60, "end": NOW, "at": dt.datetime.now(dt.UTC).isoformat(), "unproven": None,
        "samples": {EVERYTHING: series, BASELINE: series}, "same": {"request_errors": text},
    }  # fmt: skip
    path = tmp_path / "after_rollback.json"
    path.write_text(json.dumps(content))
    with pytest.raises(Inconclusive, match="count the same series"):
        AfterRollback.load(path, target_at("http://p", GOOD)).errors()
