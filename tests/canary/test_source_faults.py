"""Every fault that a source of metrics can have: a named reason, never a promotion, never a false rollback."""

from __future__ import annotations

import gzip
import math
import re
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import read_observation
from opsverify.canary.observer import Observer
from opsverify.canary.replay import replay
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import PROCESS_START, WITHIN_LIMIT
from opsverify.config.model import PrometheusConfig
from opsverify.probes.prometheus import Prometheus
from tests.canary.metrics_double import POLICY, SETUP, START, Series, World, reply, serving
from tests.support.http_double import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from opsverify.canary.window_setup import Setup


def observed(
    world: World, lines: list[str] | None = None, setup: Setup = SETUP, *, timeout_s: float = ANSWER_WITHIN_S
) -> GateWatch:
    """Watch a whole window of the made-up platform, over HTTP."""
    kept = [] if lines is None else lines
    with Prometheus(PrometheusConfig(url=world.url, timeout_s=timeout_s)) as prometheus:
        observer = Observer(prometheus, world.clock, lambda _text: None, kept.append, look_within_s=timeout_s)
        return observer.observe(setup)


def reported(watch: GateWatch) -> str:
    """The decision's reasons and the faults of its steps."""
    return "\n".join([*watch.decision.reasons, *watch.faults])


def always(status: int, body: object) -> Callable[[float, BaseHTTPRequestHandler], bool]:
    """Answer everything with the same."""
    return lambda _elapsed, handler: reply(handler, status, body)


def never(world: World) -> Callable[[float, BaseHTTPRequestHandler], bool]:
    """Answer nothing, until the test is over."""
    return lambda _elapsed, _handler: world.release.wait(5) or True


def of_canary(change: Callable[[float, str, Series], Series], *signals: str) -> Any:  # noqa: ANN401 - a World's spoil
    """Spoil signals of the canary only (all of them if none is named)."""

    def spoil(elapsed: float, query: str, series: Series) -> Series:
        scope, _, signal = query.partition(":")
        return change(elapsed, signal, series) if scope == "canary" and (not signals or signal in signals) else series

    return spoil


def from_second(begin: float, value: Callable[[float], float]) -> Any:  # noqa: ANN401
    """Replace the values of successful requests from a moment on."""

    def change(elapsed: float, _signal: str, series: Series) -> Series:
        if elapsed < begin:
            return series
        return {key: value(seen) if "code=200" in key else seen for key, seen in series.items()}

    return change


def without(begin: float, what: str) -> Any:  # noqa: ANN401
    """Drop series whose key contains `what` from a moment on."""

    def change(elapsed: float, _signal: str, series: Series) -> Series:
        return {key: value for key, value in series.items() if elapsed < begin or what not in key}

    return change


def restarted(elapsed: float, signal: str, series: Series) -> Series:
    """One canary process starts anew at second 60."""
    if elapsed < 60:
        return series
    began = START + 60
    return {
        key: value if "-b" in key else began if signal == PROCESS_START else value * 0.01
        for key, value in series.items()
    }


def scraped_twice(_elapsed: float, _signal: str, series: Series) -> Series:
    """Two jobs scrape the same instances."""
    return {f"{key},job={job}": value for key, value in series.items() for job in ("x", "y")}


def only_from(begin: float, what: str, *, start_time: bool = True) -> Any:  # noqa: ANN401
    """Show series whose key contains `what`, with their past, from a moment on; without `start_time`, but for that."""

    def change(elapsed: float, signal: str, series: Series) -> Series:
        shown = elapsed >= begin and (start_time or signal != PROCESS_START)
        return {key: value for key, value in series.items() if shown or what not in key}

    return change


@dataclass(frozen=True)
class Case:
    """A fault, and the words by which it is named."""

    name: str
    named: str
    change: dict[str, Any] = field(default_factory=dict)
    hangs: bool = False
    refused: bool = False


CASES = (
    Case("empty", "empty: no usable samples", {"spoil": of_canary(lambda *_: {})}),
    Case("nan", "not a number", {"spoil": of_canary(from_second(60, lambda _: math.nan), "requests")}),
    Case("infinite", "infinite", {"spoil": of_canary(from_second(60, lambda _: math.inf), "requests")}),
    Case("http-4xx", "http_error: .*403", {"answer": always(403, "forbidden")}),
    Case("http-5xx", "http_error: .*503", {"answer": always(503, "down")}),
    Case("timeout", "timeout: .*no answer within", hangs=True),
    Case("refused", "unreachable: .*no answer", refused=True),
    Case("malformed", "malformed: ", {"answer": always(200, "<html>")}),
    Case("partial-response", "partial_response: .*store lost", {"warnings": ("store lost",)}),
    Case("stale-series", "stale series requests", {"spoil": of_canary(without(60, "code=200"), "requests")}),
    Case("duplicate-series", "duplicate series", {"spoil": of_canary(scraped_twice)}),
    Case(
        "extra-instance",
        r"extra instance canary-b:1: requests already at 1\d{2},\d{3} in its first scrape, 1m into the window; export",
        {"spoil": of_canary(only_from(60, "-b", start_time=False))},
    ),
    Case(
        "older-instance",
        "into the window; its process is older than the window: rerun",
        {"spoil": of_canary(only_from(60, "-b"))},
    ),
    Case("missing-canary-pod", "missing canary instance canary-b", {"spoil": of_canary(without(60, "-b"))}),
    Case("missing-bucket", "missing bucket", {"spoil": of_canary(lambda *_: {}, WITHIN_LIMIT)}),
    Case("clock-skew", "clock skew: Prometheus' clock is \\+300 s", {"ahead_s": 300.0}),
    Case("yesterdays-clock", "clock skew: Prometheus' clock is -86,?400 s", {"ahead_s": -86400.0}),
    Case("yesterdays-samples", "empty: no usable samples|stale", {"old_s": 86400.0}),
)


@pytest.mark.parametrize("case", CASES, ids=attrgetter("name"))
def test_a_fault_holds_by_its_name(case: Case) -> None:
    """The canary is good; nothing proves it through this source: hold, with the fault as reason."""
    with serving(replace(World(), **case.change)) as world:
        if case.hangs:
            world.answer = never(world)
        if case.refused:
            world.url = "http://127.0.0.1:1"
        watch = observed(world, timeout_s=0.1 if case.hangs else ANSWER_WITHIN_S)
    assert watch.decision.outcome is GateOutcome.HOLD, reported(watch)
    assert re.search(case.named, reported(watch)), reported(watch)


def test_without_a_fault_the_canary_is_promoted_early_and_proven() -> None:
    """The healthy case of the table."""
    with serving(World()) as world:
        watch = observed(world)
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.PROMOTE, True)
    assert watch.elapsed_s == pytest.approx(100)
    assert watch.grown("canary", "requests") == pytest.approx(4000, rel=0.06)


@pytest.mark.parametrize("spoiled", [False, True], ids=["clean", "nan"])
def test_a_bad_canary_is_rolled_back_before_the_shortest_window(*, spoiled: bool) -> None:
    """What was proven before a fault began stays proven."""
    spoil = of_canary(from_second(60, lambda _: math.nan), "requests") if spoiled else World().spoil
    with serving(World(error_share=0.05, spoil=spoil)) as world:
        watch = observed(world)
    assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.ROLLBACK, True)
    assert watch.elapsed_s < 100


def test_a_window_longer_than_retention_loses_nothing() -> None:
    """Every step is kept: Prometheus need not remember the window."""
    with serving(World(kept_s=20.0)) as world:
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.PROMOTE


@pytest.mark.parametrize("begin", [-1.0, 0.0, 42.0, 85.0])
def test_an_outage_of_less_than_a_tenth_costs_nothing(begin: float) -> None:
    """Counters are cumulative: what happened during the outage is counted after it."""

    def out(elapsed: float, handler: BaseHTTPRequestHandler) -> bool:
        return begin <= elapsed < begin + 9 and reply(handler, 503, "restarting")

    with serving(World(answer=out)) as world:
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.PROMOTE, reported(watch)
    assert watch.grown("canary", "requests") == pytest.approx(4000, rel=0.1)


def test_errors_during_an_outage_are_counted_after_it() -> None:
    """A canary that fails during the outage is rolled back after it."""

    def out(elapsed: float, handler: BaseHTTPRequestHandler) -> bool:
        return 20 <= elapsed < 45 and reply(handler, 503, "restarting")

    with serving(World(answer=out, error_share=0.1)) as world:
        world.spoil = lambda _elapsed, _query, series: series
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.ROLLBACK


def test_a_short_gap_in_one_series_makes_no_wrong_share() -> None:
    """While successes are NaN, failures alone would look like 100 %: they wait for each other."""

    def gap(elapsed: float, _signal: str, series: Series) -> Series:
        return {key: math.nan if 40 <= elapsed < 52 and "code=200" in key else value for key, value in series.items()}

    with serving(World(spoil=of_canary(gap, "requests"))) as world:
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.PROMOTE, reported(watch)


def test_an_alert_that_begins_in_the_window_rolls_back_at_once() -> None:
    """Alerts need no statistics."""
    with serving(World(alerts=("JudgmentErrorRateHigh",))) as world:
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.ROLLBACK
    assert watch.steps == 2


def test_an_alert_of_before_is_waited_for_and_then_rolls_back() -> None:
    """What fired before the window says nothing of it at first; what goes on beyond the grace does."""
    since = START - 3600
    with serving(World(alerts=("JudgmentErrorRateHigh",), alerts_since=since)) as world:
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.ROLLBACK
    assert watch.elapsed_s == POLICY.shortest_s


def test_an_alert_of_before_that_ends_is_no_obstacle() -> None:
    """Over within the grace: the window decides."""
    world = World(alerts=("JudgmentErrorRateHigh",), alerts_since=START - 3600)

    def ends(elapsed: float, _handler: BaseHTTPRequestHandler) -> bool:
        if elapsed > 50:
            world.alerts = ()
        return False

    world.answer = ends
    with serving(world):
        watch = observed(world)
    assert watch.decision.outcome is GateOutcome.PROMOTE
    assert watch.alerts == ("JudgmentErrorRateHigh",)


def test_a_restart_is_counted_and_judged_by_its_limit() -> None:
    """One is within the limit and costs nothing; where none is allowed it rolls back, named."""
    with serving(World(spoil=of_canary(restarted))) as world:
        watch = observed(world)
        assert (watch.decision.outcome, watch.decision.proven) == (GateOutcome.PROMOTE, True)
        assert watch.counting.restarts == ("canary-a:1 at 13:47:40Z",)
    with serving(World(spoil=of_canary(restarted))) as world:
        watch = observed(world, setup=replace(SETUP, policy=replace(POLICY, restarts=0)))
    assert watch.decision.outcome is GateOutcome.ROLLBACK
    assert "restarted 1 times in the window (counter reset), limit <= 0: canary-a:1" in watch.decision.reasons[0]


@pytest.mark.parametrize("case", ["good", "nan", "bad", "refused"])
def test_a_replay_comes_to_the_same_decision(case: str, tmp_path: Path) -> None:
    """From the evidence file alone: the same decision, the same reasons, verify's exit code."""
    world = World(error_share=0.05 if case == "bad" else 0.002)
    if case == "nan":
        world.spoil = of_canary(from_second(60, lambda _: math.nan), "requests")
    lines: list[str] = []
    with serving(world):
        if case == "refused":
            world.url = "http://127.0.0.1:1"
        watch = observed(world, lines)
    path = tmp_path / "observation.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    again = GateWatch.replayed(*read_observation(path))
    assert again.decision == watch.decision
    printed: list[str] = []
    code = replay(tmp_path, printed.append)
    assert code == {"good": 0, "bad": 1}.get(case, 10)
    assert len([line for line in printed if "Z  +" in line]) == watch.steps
