"""Doctor's findings of metrics: what is wrong with a signal, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from opsverify.cli.doctor_metrics import _both_ends, _boundary, _bucket, _in_turn, _of_probes
from opsverify.config.matchers import selects
from opsverify.config.signals import Signals
from opsverify.errors import OpsVerifyError
from opsverify.probes.native_histogram import NativeHistogram
from opsverify.probes.prometheus_values import Series

if TYPE_CHECKING:
    from opsverify.probes.prometheus import Prometheus


@dataclass
class Exported:
    """A Prometheus that holds series of these labels, `__name__` among them."""

    series: list[dict[str, str]] = field(default_factory=list)
    servers: list[tuple[float, ...]] = field(default_factory=list)
    """Times of the samples of each server that answers in turn."""

    def now(self) -> float:
        """A time after all samples."""
        return 200.0

    def history(self, _selector: str, span_s: float, at: float) -> tuple[Series, ...]:
        """One series, of the server whose turn it is."""
        self.servers.append(self.servers.pop(0))
        points = tuple((moment, 1.0) for moment in self.servers[-1] if at - span_s < moment <= at)
        return (Series({"instance": "a:1"}, points),)

    def instant(self, selector: str) -> SimpleNamespace:
        """The series that a selector picks."""
        name, _, matchers = selector.rstrip("}").partition("{")
        found = [one for one in self.series if one["__name__"] == name and selects(matchers, one)]
        return SimpleNamespace(samples=[SimpleNamespace(labels=one) for one in found])

    def known(self, selector: str, _back: str) -> bool:
        """Whether a selector picks any."""
        return bool(self.instant(selector).samples)

    def label_values(self, label: str, selector: str, _back: str) -> tuple[str, ...]:
        """Values of a label of what a selector picks."""
        return tuple(sorted({sample.labels.get(label, "") for sample in self.instant(selector).samples} - {""}))


def holding(*series: dict[str, str]) -> Prometheus:
    """Such a Prometheus."""
    return cast("Prometheus", Exported(list(series)))


def buckets(metric: str, *bounds: str) -> list[dict[str, str]]:
    """The buckets of a histogram."""
    return [{"__name__": f"{metric}_bucket", "le": bound} for bound in bounds]


def with_buckets(metric: str, **more: str) -> Signals:
    """Signals whose durations are of this histogram."""
    return Signals.model_validate({"duration_buckets": {"metric": f"{metric}_bucket"} | more})


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/metrics", True), ("/healthz", True), ("/health/live", True), ("/actuator/prometheus", True),
        ("/-/ready", True), ("/v1/judgments", False), ("/health-records", False), ("/orders/ready-made", False),
    ],
)  # fmt: skip
def test_requests_of_probes_are_named(path: str, *, asked: bool) -> None:
    """They alone would make a canary that nobody uses look served."""
    prometheus = holding(*({"__name__": "http_total", "handler": one} for one in ("/v1/judge", path)))
    if not asked:
        assert _of_probes(prometheus, "http_total{}")
        return
    with pytest.raises(OpsVerifyError, match=f'handler is {path}.* handler!~"{path}"'):
        _of_probes(prometheus, "http_total{}")
    assert _of_probes(prometheus, f'http_total{{handler!~"{path}"}}'), "what it says to write is accepted"


def test_servers_that_answer_in_turn_are_found() -> None:
    """Two replicas behind one URL scrape at times of their own; what is stored meanwhile is no other server."""
    one, other = (80.0, 110.0, 140.0, 199.0), (87.0, 117.0, 147.0)
    with pytest.raises(OpsVerifyError, match="several servers answer at this URL in turn"):
        _in_turn(cast("Prometheus", Exported(servers=[one, other])), "http_total{}")
    assert _in_turn(cast("Prometheus", Exported(servers=[one, one[:-1]])), "http_total{}")


def test_requests_that_both_ends_count_are_named() -> None:
    """Istio's proxies of client and server have different pods: no label says that it is one request."""
    ends = [{"__name__": "istio_requests_total", "reporter": one} for one in ("source", "destination")]
    with pytest.raises(OpsVerifyError, match='reporter="destination"'):
        _both_ends(holding(*ends), "istio_requests_total{}")
    assert _both_ends(holding(*ends), 'istio_requests_total{reporter="destination"}')


def test_a_summary_is_told_from_a_wrong_name() -> None:
    """A summary has no buckets, however its name is corrected."""
    signals = with_buckets("latency_seconds")
    with pytest.raises(OpsVerifyError, match="latency_seconds is a summary"):
        _bucket(holding({"__name__": "latency_seconds", "quantile": "0.95"}), signals, 1.5)
    with pytest.raises(OpsVerifyError, match="no buckets at all"):
        _bucket(holding({"__name__": "other"}), signals, 1.5)
    with pytest.raises(OpsVerifyError, match=r"no bucket le=1\.5; set the limit to one of 1, 2, or export it"):
        _bucket(holding(*buckets("latency_seconds", "1", "2")), signals, 1.5)


def test_a_limit_inside_a_bucket_of_a_native_histogram_is_found() -> None:
    """Its boundaries are powers of two as a rule: the gate would hold with the first judgment near the limit."""

    class Native(Exported):
        def history(self, _selector: str, _span_s: float, _at: float) -> tuple[Series, ...]:
            histogram = NativeHistogram(3.0, ((1.0, 1.414214, 2.0), (1.414214, 2.0, 1.0)))
            return (Series({"instance": "a:1"}, ((15.0, 3.0),), {15.0: histogram}),)

    signals = Signals.model_validate({"duration_buckets": {"metric": "latency_seconds", "native": True}})
    native = cast("Prometheus", Native())
    with pytest.raises(OpsVerifyError, match=r"1\.5 s lies inside a bucket from 1\.41421 to 2 s"):
        _boundary(native, signals, 1.5)
    assert "2s" in _boundary(native, signals, 2.0)
    with pytest.raises(OpsVerifyError, match="no native histogram"):
        _boundary(cast("Prometheus", Exported(servers=[(190.0,)])), signals, 2.0)


@pytest.mark.parametrize("le", ["1500", "1500.0", "1.5e3"])
def test_a_bucket_in_the_unit_of_its_histogram(le: str) -> None:
    """Istio and many a Node service count milliseconds; the limit stays in seconds."""
    found = holding(*buckets("istio_request_duration_milliseconds", "1.5", le))
    signals = with_buckets("istio_request_duration_milliseconds", unit="ms")
    assert _bucket(found, signals, 1.5) == "bucket le=1500 exists"
    with pytest.raises(OpsVerifyError, match="no bucket le=2000"):
        _bucket(found, signals, 2.0)
