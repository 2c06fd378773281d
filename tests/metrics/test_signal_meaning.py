"""Meaning of signals: a selector that never matched proves nothing, unless what it would match is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from opsverify import Inconclusive
from opsverify.config.model import PrometheusConfig
from opsverify.config.signals import SHARES, Signals
from opsverify.metrics.freshness import require_fresh
from opsverify.metrics.lookback import Lookback
from opsverify.metrics.signal_meaning import meaning_of, unproven
from opsverify.probes.prometheus_values import Series

if TYPE_CHECKING:
    from opsverify.probes.prometheus import Prometheus

TRIALS = ((0.0, 0.0), (60.0, 274.0))


class Platform:
    """A Prometheus in which only trials exist, whose label has these values."""

    def __init__(self, *values: str, bad: bool = False) -> None:
        self.values = values
        self.bad = bad

    def known(self, selector: str, _back: str) -> bool:
        """Whether a selector matched some day: that of all trials did."""
        return self.bad or "=" not in selector

    def label_values(self, _label: str, _selector: str, _back: str) -> tuple[str, ...]:
        """The values of the label."""
        return self.values

    def now(self) -> float:
        """The time of the newest sample."""
        return TRIALS[-1][0]

    def history(self, selector: str, _span_s: float, _at: float | None = None) -> tuple[Series, ...]:
        """The trials' samples."""
        return (Series({"instance": "a:1"}, TRIALS),) if "=" not in selector else ()


def platform(*values: str, bad: bool = False) -> Prometheus:
    """Such a Prometheus."""
    return cast("Prometheus", Platform(*values, bad=bad))


def errors_by(match: str) -> Signals:
    """Signals whose failed requests are picked by `match`."""
    return Signals.model_validate(
        {"requests": {"metric": "http_total"}, "request_errors": {"metric": "http_total", "match": match}}
    )


def test_a_selector_that_never_matched_proves_nothing() -> None:
    """`status=~"5[0-9]+"` against `5xx`: the label values that exist are named, and the way out."""
    fault = unproven(platform("2xx", "5xx"), errors_by('status=~"5[0-9]+"'), "request_errors")
    assert fault is not None
    assert "matched no series in 7d" in fault
    assert "status is 2xx, 5xx" in fault
    assert "prometheus.signals.request_good" in fault


def test_no_5xx_yet_is_told_from_a_wrong_name() -> None:
    """Where all values are status codes, a selector of server errors would match one: none yet is none."""
    meaning = meaning_of(platform("200", "404"), errors_by('code=~"5.."'), "request_errors")
    assert meaning.fault is None
    assert "none yet" in meaning.text
    assert unproven(platform("200"), errors_by('code=~"6.."'), "request_errors") is not None
    assert unproven(platform(), errors_by('state=~"5.."'), "request_errors") is not None


@pytest.mark.parametrize(
    ("label", "values", "match", "known"),
    [
        ("status", ("2xx", "4xx"), 'status="5xx"', True),
        ("status", ("2xx", "4xx"), 'status=~"5.."', True),
        ("status", ("2xx", "4xx"), 'status="500"', False),
        ("status", ("2XX",), 'status="5xx"', False),
        ("envoy_response_code_class", ("2", "3"), 'envoy_response_code_class="5"', True),
        ("attempt", ("1", "2"), 'attempt="5"', False),
        ("grpc_code", ("OK", "NotFound"), 'grpc_code=~"Internal|Unavailable"', True),
        ("grpc_code", ("OK",), 'grpc_code="INTERNAL"', False),
        ("statusCode", ("OK", "NOT_FOUND"), 'statusCode="DEADLINE_EXCEEDED"', True),
        ("outcome", ("SUCCESS",), 'outcome="SERVER_ERROR"', True),
        ("outcome", ("SUCCESS",), 'outcome="FAILURE"', False),
        ("grpc_code", ("OK",), 'grpc_code!="OK"', True),
        ("outcome", ("ok", "cached"), 'outcome!~"ok|cached"', True),
        ("outcome", (), 'outcome!="ok"', False),
        ("success", ("true",), 'success="false"', False),
    ],
)
def test_what_a_selector_would_match_is_known_by_the_values_beside_it(
    label: str, values: tuple[str, ...], match: str, *, known: bool
) -> None:
    """As common exporters write them: a release without failures in a week is not held for its selector."""
    assert label in match
    assert (unproven(platform(*values), errors_by(match), "request_errors") is None) == known


@pytest.mark.parametrize("bad", SHARES)
def test_every_share_needs_a_selector_with_a_meaning(bad: str) -> None:
    """No share of the platform is proven by a selector that matched nothing, and each is by one that did."""
    signals = Signals.model_validate({bad: {"metric": getattr(Signals(), SHARES[bad].trials).metric, "match": 'x="y"'}})
    fault = unproven(platform("z"), signals, bad)
    assert fault is not None
    assert f"prometheus.signals.{SHARES[bad].good}" in fault
    assert unproven(platform(bad=True), signals, bad) is None


def lookback_of(prometheus: Prometheus, **signals: object) -> Lookback:
    """A lookback over an hour."""
    config = PrometheusConfig.model_validate({"url": "http://p", "lookback": "1h", "signals": signals})
    return Lookback(prometheus, config, lambda: TRIALS[-1][0])


def test_daily_shares_hold_for_a_selector_without_meaning() -> None:
    """The daily checks hold, instead of accepting 0 % for ever."""
    with pytest.raises(Inconclusive, match="matched no series"):
        lookback_of(platform("2xx", "5xx"), llm_failures={"metric": "llm_calls_total", "match": 'outcome="bad"'}).rate(
            "llm_failures", "llm_calls"
        )


def test_good_ones_make_the_rest_bad() -> None:
    """Where good ones are counted, what is not good is bad."""

    class Counted(Platform):
        def now(self) -> float:
            """The time of the newest sample."""
            return TRIALS[-1][0]

        def history(self, selector: str, _span_s: float, _at: float | None = None) -> tuple[Series, ...]:
            last = 200.0 if "good" in selector else 274.0
            return (Series({"instance": "a:1"}, ((0.0, 0.0), (60.0, last))),)

    share = lookback_of(cast("Prometheus", Counted()), llm_good={"metric": "good"}).rate("llm_failures", "llm_calls")
    assert (share.trials, share.share) == (274, pytest.approx(74 / 274))


def test_old_samples_measure_nothing() -> None:
    """Samples of yesterday are stale; a scrape an hour is not."""
    require_fresh("x", (0.0, 3600.0, 7200.0), now=10_000.0)
    with pytest.raises(Inconclusive, match="stale, the newest sample is 24h 00m old"):
        require_fresh("x", (0.0, 15.0), now=86_415.0)
