"""Signals of a target: their forms, what is refused, and every spelling of a bucket's bound."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.bucket_bound import spellings
from opsverify.config.matchers import label_name, selects
from opsverify.config.signals import SHARES, Signals


@pytest.mark.parametrize(
    ("given_signals", "said"),
    [
        ({"request_errors": {"metric": "judgment_requests_total"}}, "requests and request_errors select the same"),
        ({"workflow_failures": {"metric": "llm_parse_total", "match": "outcome = 'failed'"}}, "select the same series"),
        ({"llm_calls": {"absent": " "}}, "with a reason"),
        ({"llm_calls": {"metric": "a", "absent": "no LLM"}}, "expected one of"),
        ({"llm_calls": {"absent": "no LLM"}, "llm_failures": {"metric": "x"}}, "describe both, or neither"),
        ({"durations": {"metric": "judgment_requests_total"}}, 'same_as = "requests" where that is meant'),
        (
            {"duration_buckets": {"metric": "http_milliseconds_bucket"}},
            'counts in ms by its name, not in s.*say unit = "ms"',
        ),
        ({"duration_buckets": {"metric": "http_seconds_bucket", "unit": "ms"}}, "counts in s by its name, not in ms"),
        ({"durations": {"metric": "x_count", "unit": "ms"}}, "unit is of duration_buckets"),
        ({"duration_buckets": {"metric": "x", "unit": "ms", "native": True}}, "that are no native histogram"),
        ({"duration_buckets": {"promql": "http_time_ms{$scope}"}}, "http_time_ms counts in ms by its name"),
        ({"durations": {"metric": "x", "same_as": "request"}}, "is no other signal of this target; expected one of"),
        ({"durations": {"metric": "x", "same_as": "durations"}}, "is no other signal of this target"),
        ({"llm_calls": {"absent": "no LLM", "same_as": "requests"}}, "alone, with a reason"),
        ({"requests": {"metric": "a", "match": "code=5.."}}, "not a list of label matchers"),
        ({"requests": {"metric": "a", "match": 'code=~"["'}}, "not a regular expression"),
    ],
)
def test_signals_that_cannot_be_meant(given_signals: dict[str, object], said: str) -> None:
    """Two signals of the same series, a reason without words, half a share: refused on loading."""
    with pytest.raises(ValueError, match=said):
        Signals.model_validate(given_signals)


def test_one_histogram_may_count_requests_and_durations() -> None:
    """OpenTelemetry has no counter of requests beside its histogram: said so, the same selector is accepted."""
    count = {"metric": "http_server_request_duration_seconds_count"}
    signals = Signals.model_validate({"requests": count, "durations": count | {"same_as": "requests"}})
    assert signals.meant("requests", "durations")
    assert signals.meant("durations", "requests")


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("x_total{$scope}", "x_total"),
        (' a:b {c="d",$scope}', "a:b"),
        ('{__name__="x",$scope}', None),
        ('{ "http.requests", $scope}', "http.requests"),
        ('{"http.status"="500",$scope}', None),
    ],
)
def test_the_metric_of_a_selector_is_known_where_it_begins_with_it(selector: str, name: str | None) -> None:
    """By it two signals are known never to count the same series."""
    assert Signals.model_validate({"requests": {"promql": selector}}).requests.name == name


def test_names_with_dots_are_quoted() -> None:
    """Prometheus 3 takes any UTF-8 name, as OpenTelemetry gives them: a name with dots outside quotes is no PromQL."""
    signals = Signals.model_validate({"requests": {"metric": "http.server.requests", "match": '"http.status"="500"'}})
    assert signals.requests.selector('track="canary"') == (
        '{"http.server.requests","http.status"="500",track="canary"}'
    )
    assert signals.requests.labels == {"http.status"}
    assert selects('"http.status"=~"5..", a="b"', {"http.status": "503", "a": "b"})
    assert Signals.model_validate({"requests": {"metric": "a.b"}}).requests.selector() == '{"a.b"}'
    assert label_name("http.status") == '"http.status"'
    assert label_name("code") == "code"


@pytest.mark.parametrize("share", SHARES.values(), ids=lambda share: share.bad)
def test_what_is_absent_takes_its_bad_ones_along(share: object) -> None:
    """A platform without the trials of a share has none of its bad ones, for the same reason."""
    signals = Signals.model_validate({share.trials: {"absent": "no such part"}})  # type: ignore[attr-defined]
    assert signals.absent(share.bad) == "no such part"  # type: ignore[attr-defined]


@pytest.mark.parametrize("share", SHARES.values(), ids=lambda share: share.bad)
def test_every_share_can_count_its_good_ones(share: object) -> None:
    """Where good ones are described, what is not good is bad."""
    assert Signals().counted(share.bad) == (share.bad, False)  # type: ignore[attr-defined]
    signals = Signals.model_validate({share.good: {"metric": "good_total"}})  # type: ignore[attr-defined]
    assert signals.counted(share.bad) == (share.good, True)  # type: ignore[attr-defined]


@given(st.floats(min_value=1e-6, max_value=1e6).map(lambda value: float(f"{value:.4g}")), st.integers(0, 3))
def test_every_spelling_of_a_bound_is_found(bound: float, zeros: int) -> None:
    """However a client spells the number of a bucket, its series is found."""
    pattern = re.compile(spellings(bound))
    plain = f"{bound:.10f}".rstrip("0")
    for text in (f"{bound:g}", repr(bound), f"{bound:.3e}", f"{bound:.3E}", plain.rstrip("."), f"{plain}{'0' * zeros}"):
        if float(text) == bound and not text.endswith("."):
            assert pattern.fullmatch(text), (text, pattern.pattern)


@given(st.floats(min_value=1e-3, max_value=1e3), st.floats(min_value=1e-3, max_value=1e3))
def test_no_other_number_is_found(bound: float, other: float) -> None:
    """A bucket with another bound is never taken for it."""
    for text in (f"{other:g}", repr(other), f"{other:.3e}"):
        assert not re.fullmatch(spellings(bound), text) or float(text) == bound


@pytest.mark.parametrize(
    ("matchers", "labels", "expected"),
    [
        ('team="a"', {"team": "a"}, True),
        ('team=~"a|b",env!="dev"', {"team": "b"}, True),
        ('team=~"a|b",env!="dev"', {"team": "b", "env": "dev"}, False),
        ('team!~"a.*"', {"team": "ab"}, False),
        ('team=""', {}, True),
        ("", {"x": "y"}, True),
    ],
)
def test_matchers_are_read_as_prometheus_does(matchers: str, labels: dict[str, str], *, expected: bool) -> None:
    """Anchored, and a label that is absent is empty."""
    assert selects(matchers, labels) is expected


METRICS = ("http_seconds_bucket", "items_bucket", "ms_bucket", "http_ms_total_bucket")


@pytest.mark.parametrize(
    ("unit", "bucket", "other"),
    [("s", "0.3", "300"), ("ms", "300", "0.3"), ("us", "300000.0", "300"), ("ns", "3e8", "3e5")],
)
def test_a_limit_in_the_unit_of_the_buckets(unit: str, bucket: str, other: str) -> None:
    """The limit stays in seconds; exactly the bucket of the same time is selected."""
    signal = Signals.model_validate({"duration_buckets": {"metric": "time_bucket", "unit": unit}}).duration_buckets
    matchers = signal.bucket(0.3).removeprefix("time_bucket{").removesuffix("}")
    assert selects(matchers, {"le": bucket})
    assert not selects(matchers, {"le": other})


@pytest.mark.parametrize("metric", METRICS)
def test_names_without_another_unit_are_taken_for_seconds(metric: str) -> None:
    """As before."""
    assert Signals.model_validate({"duration_buckets": {"metric": metric}}).duration_buckets.metric == metric
