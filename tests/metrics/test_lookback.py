"""Lookback: growth, shares and cost."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from opsverify import Inconclusive
from opsverify.config.model import PrometheusConfig
from opsverify.metrics.lookback import Lookback
from opsverify.probes.prometheus import Prometheus
from opsverify.probes.prometheus_values import Series, Vector
from tests.canary.metrics_double import reply
from tests.probes.probe_servers import fake_server
from tests.support.http_double import ANSWER_WITHIN_S

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler


class Answers:
    """A Prometheus that answers by selector."""

    def __init__(self, **series: list[list[tuple[float, float]]]) -> None:
        self.series = series
        self.labels: dict[tuple[str, int], dict[str, str]] = {}
        """More labels of a series, by name and number."""
        self.matched: dict[str, tuple[str, ...]] = {}
        """Selectors that matched some day: what `known` and `label_values` answer from."""

    def now(self) -> float:
        """The time of the newest sample."""
        return max((at for found in self.series.values() for points in found for at, _ in points), default=0.0)

    def known(self, selector: str, _back: str) -> bool:
        """Whether a selector matched some day."""
        return selector in self.matched

    def label_values(self, label: str, _selector: str, _back: str) -> tuple[str, ...]:
        """The values of a label."""
        return self.matched.get(label, ())

    def whole(self, query: str, at: float | None = None) -> Vector:
        """Nothing is known of the time before."""
        return Vector((), (), at or 0.0, query)

    def history(self, selector: str, _span_s: float, _at: float | None = None) -> list[Series]:
        """Answer with the series whose name is in the selector."""
        return [
            Series({"instance": f"{number}:1"} | self.labels.get((name, number), {}), tuple(points))
            for name, found in self.series.items()
            if selector == f"{name}{{}}"
            for number, points in enumerate(found)
        ]


def lookback(**series: list[list[tuple[float, float]]]) -> Lookback:
    """A lookback with simple names."""
    signals = {name: {"metric": name} for name in ("llm_calls", "llm_failures", "llm_cost")}
    config = PrometheusConfig.model_validate({"url": "http://p", "lookback": "1h", "signals": signals})
    answers = Answers(**series)
    return Lookback(cast("Prometheus", answers), config, answers.now)


def test_bad_ones_and_trials_are_of_one_moment() -> None:
    """A scrape between two queries must not make a counter's past look like growth: 65 failures of an earlier hour."""
    scrapes = [[number + offset for number in range(20)] for offset in (0.26, 0.02)]
    calls = [[(at, 3000 + 3 * at) for at in each] for each in scrapes]
    failures = [[(at, 65.0) for at in each] for each in scrapes]

    class Moving(Answers):
        """A server whose clock goes on from query to query, and that answers with the last eight seconds."""

        asked = 10.0

        def history(self, selector: str, span_s: float, at: float | None = None) -> list[Series]:
            self.asked += 0.15
            end = self.asked if at is None else at
            return [
                Series(each.labels, tuple(point for point in each.points if end - 8 < point[0] <= end))
                for each in super().history(selector, span_s)
            ]

        def now(self) -> float:
            return self.asked

    answers = Moving(llm_calls=calls, llm_failures=failures)
    looking = replace(lookback(), prometheus=cast("Prometheus", answers), now=answers.now)
    assert looking.rate("llm_failures", "llm_calls").share == 0


def test_rate() -> None:
    """Bad ones out of trials, over all series."""
    share = lookback(llm_calls=[[(0, 0), (3540, 80)], [(0, 10), (3540, 30)]], llm_failures=[[(0, 0), (3540, 5)]]).rate(
        "llm_failures", "llm_calls"
    )
    assert share.share == pytest.approx(0.05)
    assert (share.trials, share.text) == (100, "of 100 in the last 1h")


def test_what_was_not_observed_is_not_claimed() -> None:
    """A platform of this morning, or a Prometheus that lost its data, says nothing of the night."""
    share = lookback(llm_calls=[[(0, 0), (600, 80)]], llm_failures=[[(0, 0), (600, 5)]]).rate(
        "llm_failures", "llm_calls"
    )
    assert share.text == "of 80 in 10m 00s, all that was observed of the last 1h"


def test_failures_that_another_exporter_counts_have_to_be_fresh() -> None:
    """One that is not scraped any more proves nothing; a pod that is gone, and counted calls too, is another matter."""
    calls = [(float(at), at / 10) for at in range(0, 3600, 60)]
    assert (
        lookback(llm_calls=[calls[:9], calls], llm_failures=[[(0, 3), (480, 4)]])
        .rate("llm_failures", "llm_calls")
        .trials
        == 402
    )
    with pytest.raises(Inconclusive, match="llm_failures: stale, the newest sample is 51m"):
        lookback(llm_calls=[calls], llm_failures=[[], [(0, 3), (480, 3)]]).rate("llm_failures", "llm_calls")


def test_the_first_failures_of_all_are_counted() -> None:
    """A label is exported from its first use on: all of its first sample came while its instance was scraped."""
    share = lookback(llm_calls=[[(0, 0), (10, 100)]], llm_failures=[[(10, 5)]]).rate("llm_failures", "llm_calls")
    assert share.share == pytest.approx(0.05)


@pytest.mark.parametrize(("bad", "trials"), [(200, 100), (30, 0), (102.1, 100)])
def test_more_bad_ones_than_trials_are_counted_elsewhere(bad: float, trials: float) -> None:
    """A share above 100 % says nothing of the trials: both selectors are named, and no share is given."""
    found = lookback(llm_calls=[[(0, 0), (10, trials)]], llm_failures=[[(0, 0), (10, bad)]])
    with pytest.raises(Inconclusive, match=r"llm_failures grew by .*elsewhere.*\(llm_failures{}\) .*\(llm_calls{}\)"):
        found.rate("llm_failures", "llm_calls")


@pytest.mark.parametrize(("bad", "trials"), [(100, 100), (101, 100), (1008, 1000)])
def test_two_counters_read_one_after_the_other(bad: float, trials: float) -> None:
    """One bad one more than trials, or a hundredth, is what reading both apart explains: all of them were bad."""
    found = lookback(llm_calls=[[(0, 0), (10, trials)]], llm_failures=[[(0, 0), (10, bad)]])
    assert found.rate("llm_failures", "llm_calls").share == 1.0


def test_more_good_ones_than_trials_are_no_success() -> None:
    """Good ones that are counted elsewhere would leave no bad ones."""
    signals = {name: {"metric": name} for name in ("llm_calls", "llm_good")}
    config = PrometheusConfig.model_validate({"url": "http://p", "lookback": "1h", "signals": signals})
    answers = Answers(llm_calls=[[(0, 0), (10, 100)]], llm_good=[[(0, 0), (10, 300)]])
    with pytest.raises(Inconclusive, match="llm_good grew by 300, llm_calls by 100"):
        Lookback(cast("Prometheus", answers), config, answers.now).rate("llm_failures", "llm_calls")


def test_no_trials_is_no_share() -> None:
    """Nothing happened: no number, which no limit holds."""
    assert math.isnan(
        lookback(llm_calls=[[(0, 7), (9, 7)]], llm_failures=[[(0, 0), (9, 0)]]).rate("llm_failures", "llm_calls").share
    )


def test_per_day() -> None:
    """Growth is scaled by the time between the samples."""
    assert lookback(llm_cost=[[(0, 1.0), (8640, 3.0)]]).per_day("llm_cost").per_day == pytest.approx(20.0)


def test_a_cost_that_is_scraped_twice_is_no_amount() -> None:
    """Two replicas of Prometheus, or two jobs: the budget would be exceeded on a healthy platform."""
    found = lookback(llm_cost=[[(0, 1.0), (8640, 3.0)]] * 2)
    answers = cast("Answers", found.prometheus)
    for number, replica in enumerate("ab"):
        answers.labels["llm_cost", number] = {"instance": "a:1", "replica": replica}
    with pytest.raises(Inconclusive, match=r"llm_cost: duplicate series .*replica=b.* it would count twice"):
        found.per_day("llm_cost")


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(-3600, 1.0), (0, 3.0)], 48.0),
        ([(-1800, 1.0), (0, 2.0)], 48.0),
        ([(-3600, 2.5), (-1800, 0.5), (0, 1.0)], 24.0),
        ([(-1700, 1.0), (0, 2.0)], None),
        ([(0, 2.0)], None),
        ([], None),
    ],
    ids=["whole", "half", "restart", "less than half", "one sample", "none"],
)
def test_per_day_a_week_ago(points: list[tuple[float, float]], expected: float | None) -> None:
    """The same hour (of a lookback of one hour) seven days ago; unknown where too little of it was scraped."""
    asked: list[float | None] = []

    class Past(Answers):
        def now(self) -> float:
            return 1_000_000.0

        def history(self, selector: str, span_s: float, at: float | None = None) -> list[Series]:
            asked.append(at)
            return super().history(selector, span_s, at)

    looked = lookback()
    answers = Past(llm_cost=[[(395_200 + at, value) for at, value in points]] if points else [])
    looked = replace(looked, prometheus=cast("Prometheus", answers))
    assert looked.per_day_a_week_ago("llm_cost") == (pytest.approx(expected) if expected else None)
    assert asked == [1_000_000 - 7 * 86400]


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ({}, "llm_cost: no samples of llm_cost{} in the last 1h; check that it is scraped"),
        ({"llm_cost": [[(5, 1.0)]]}, "one sample only"),
        ({"llm_cost": [[(0, 1.0), (5, math.nan)]]}, "a sample is not a number; check the service"),
    ],
)
def test_no_answer_is_inconclusive(series: dict[str, list[list[tuple[float, float]]]], said: str) -> None:
    """Missing, single and broken samples cannot be measured."""
    with pytest.raises(Inconclusive, match=said):
        lookback(**series).per_day("llm_cost")


@pytest.mark.parametrize("own_clock_s", [0.0, 86400.0], ids=["samples", "samples and clock"])
def test_samples_of_yesterday_measure_nothing(own_clock_s: float) -> None:
    """Prometheus answers, with what it had 24 hours ago: its clock may be as old, this machine's is not."""
    now = time.time()
    values = [[now - 86400 - 15 * (40 - number), str(100.0 * number)] for number in range(40)]
    matrix = {"resultType": "matrix", "result": [{"metric": {"instance": "a:1"}, "values": values}]}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        scalar = {"resultType": "scalar", "result": [now - own_clock_s, str(now - own_clock_s)]}
        asked = parse_qs(urlsplit(handler.path).query)["query"][0]
        reply(handler, 200, {"status": "success", "data": scalar if asked == "time()" else matrix})

    with fake_server() as fake:
        fake.routes["/api/v1/query"] = answer
        signals = {name: {"metric": name} for name in ("llm_calls", "llm_failures", "llm_cost")}
        config = PrometheusConfig.model_validate(
            {"url": fake.url, "timeout_s": ANSWER_WITHIN_S, "lookback": "1h", "signals": signals}
        )
        with Prometheus(config) as prometheus:
            for ask in (
                lambda: Lookback(prometheus, config).per_day("llm_cost"),
                lambda: Lookback(prometheus, config).rate("llm_failures", "llm_calls"),
            ):
                with pytest.raises(Inconclusive, match=r"stale, the newest sample is 24h 00m old"):
                    ask()


def test_a_dip_is_no_restart() -> None:
    """A cost of 10 USD, of which 2 cents are taken back once: not 5,000 USD more."""
    points = [(60.0 * n, 5000 + n / 100) for n in range(1000)]
    points[700] = (points[700][0], points[700][1] - 0.02)
    assert lookback(llm_cost=[points]).growth("llm_cost").value == pytest.approx(9.99, abs=0.03)
    good, failed = [(60.0 * n, 1e6 + 9 * n) for n in range(1000)], [(60.0 * n, 1000.0 + n) for n in range(1000)]
    good[700] = (good[700][0], good[700][1] - 20)
    share = lookback(llm_calls=[good, failed], llm_failures=[failed]).rate("llm_failures", "llm_calls").share
    assert share == pytest.approx(0.1, rel=0.01)


def test_a_sum_of_pods_of_which_one_goes_is_no_amount() -> None:
    """A recording rule falls by all that one pod had counted."""
    points = [(60.0 * n, 6000 + n / 100 - (2000 if n >= 700 else 0)) for n in range(1000)]
    with pytest.raises(Inconclusive, match=r"fell from 6,00\d.* to 4,00\d.*no cumulative counter of one process"):
        lookback(llm_cost=[points]).growth("llm_cost")


def test_a_restart_is_still_one() -> None:
    """The new process counts from zero, four times as fast for a while."""
    points = [(60.0 * n, 6000 + n / 100 if n < 700 else (n - 699) / 25) for n in range(1000)]
    assert lookback(llm_cost=[points]).growth("llm_cost").value == pytest.approx(6.99 + 12, abs=0.1)


def test_a_pod_that_moves_to_another_collector_brings_no_past() -> None:
    """That collector was scraped before, the pod behind it was not: its first sample is a past, and no growth."""
    moving, staying = ([(60.0 * n, cost + n / 100) for n in range(1000)] for cost in (5000, 3000))
    answers = Answers(llm_cost=[moving[:700], moving[700:], staying])
    for number, (collector, pod) in enumerate((("c1:1", "x"), ("c2:1", "x"), ("c2:1", "y"))):
        answers.labels["llm_cost", number] = {"instance": collector, "pod": pod}
    config = PrometheusConfig.model_validate(
        {"url": "http://p", "lookback": "24h", "signals": {"llm_cost": {"metric": "llm_cost"}}}
    )
    growth = Lookback(cast("Prometheus", answers), config, answers.now).growth("llm_cost")
    assert growth.value == pytest.approx(2 * 9.99, abs=0.05)
