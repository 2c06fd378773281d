"""Metrics that doctor examines: whether each signal counts what the target says, and each process once."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Final

from opsverify.cli.doctor_findings import DoctorFinding, attempt
from opsverify.config.signals import SHARES, Signals
from opsverify.errors import OpsVerifyError
from opsverify.language.message import say
from opsverify.metrics.same_series import Told, same_text, suspects, told_if_answered
from opsverify.metrics.scraped_by import scraped_twice
from opsverify.metrics.signal_meaning import LOOKED_BACK, listed_values, meaning_of
from opsverify.probes.access import access_to
from opsverify.probes.prometheus_values import Series
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.config.signals import Signal
    from opsverify.probes.prometheus import Prometheus

_SETTLED_S: Final = 65.0
"""Samples older than this do not come any more (as the gate takes it)."""
_ASKED_AGAIN: Final = 6
_REPORTERS: Final = frozenset({"destination", "source"})
_PROBED: Final = re.compile(
    r"(/[\w-]+)?/(metrics|prometheus|health|healthz|livez|readyz|ready|live|liveness|readiness|ping|startup)"
    r"(/(live|ready|liveness|readiness|startup))?/?"
)
"""Paths that probes of Kubernetes and scrapes of Prometheus ask for, by common frameworks (`/actuator/health`)."""


def metric_findings(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
    """What is found of every signal, of the limit's bucket, and of canary and baseline."""
    from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415 - probes are imported when used

    config = target.prometheus
    if config is None:
        return
    with Prometheus(config, access_to(config, secrets, target.proxy)) as prometheus:
        reached = attempt("prometheus", lambda: say("reachable; its clock is at {now}", now=_clock(prometheus.now())))
        yield reached
        if not reached.ok:
            return
        yield from _signals(prometheus, config.signals, target)
        if target.canary and config.signals.absent("requests") is None:
            yield from _asked_by_probes(prometheus, config.signals)
            requests = config.signals.requests.selector()
            for doubt in (_in_turn, _both_ends):
                found = attempt("signals.requests", lambda doubt=doubt: doubt(prometheus, requests))  # type: ignore[misc]
                if not found.ok:
                    yield found
            scopes = [
                config.signals.requests.selector(scope) for scope in (target.canary.canary, target.canary.baseline)
            ]
            label = target.canary.instance_label or ""
            apart = attempt("canary.canary, canary.baseline", lambda: _apart(prometheus, *scopes))
            if not apart.ok:
                yield apart
            once = attempt("prometheus, canary", lambda: _once(prometheus, scopes, label))
            if not once.ok:
                yield once


def _signals(prometheus: Prometheus, signals: Signals, target: Target) -> Iterator[DoctorFinding]:
    """Every signal: absent as the target says, found, none yet, or a wrong name with what exists beside it."""
    for name in Signals.model_fields:
        reason = signals.absent(name)
        if reason is not None:
            yield DoctorFinding(f"signals.{name}", ok=True, text=say("absent: {reason}", reason=reason))
        elif name in SHARES and not signals.counted(name)[1]:
            yield attempt(f"signals.{name}", lambda n=name: _bad_ones(prometheus, signals, n))  # type: ignore[misc]
        elif getattr(signals, name) is not None and name not in (*SHARES, "process_start"):
            selector = signals.of(name).selector()
            yield attempt(f"signals.{name}", lambda s=selector: _series(prometheus, s))  # type: ignore[misc]
    for pair in suspects(signals, target.limits.judgment_p95.bound):
        if told_if_answered(prometheus, pair) is Told.SAME:
            text = same_text(pair.one, pair.other, pair.selectors[0])
            yield DoctorFinding(f"signals.{pair.one}, signals.{pair.other}", ok=False, text=text)
    if signals.absent("duration_buckets") is None:
        bound, ask = target.limits.judgment_p95.bound, _boundary if signals.duration_buckets.native else _bucket
        yield attempt("limits.judgment_p95", lambda: ask(prometheus, signals, bound))


def _apart(prometheus: Prometheus, canary: str, baseline: str) -> str:
    both = prometheus.instant(f"{canary} and {baseline}").samples
    if both:
        raise OpsVerifyError(
            say(
                "{count} series are in both scopes ({selector} and {other}); correct one of them",
                count=len(both),
                selector=canary,
                other=baseline,
            )
        )
    return say("no series is in both scopes")


def _asked_by_probes(prometheus: Prometheus, signals: Signals) -> Iterator[DoctorFinding]:
    """Requests of probes and scrapes among those that are counted: a canary that nobody uses has these, and no others.

    Where Prometheus does not answer, the signal's own finding says so.
    """
    for name in ("requests", "durations"):
        if signals.absent(name) is None:
            selector = signals.of(name).selector()
            found = attempt(f"signals.{name}", lambda selector=selector: _of_probes(prometheus, selector))  # type: ignore[misc]
            if not found.ok:
                yield found


def _of_probes(prometheus: Prometheus, selector: str) -> str:
    asked: dict[str, set[str]] = {}
    for sample in prometheus.instant(selector).samples:
        for label, value in sample.labels.items():
            if _PROBED.fullmatch(value):
                asked.setdefault(label, set()).add(value)
    for label, values in asked.items():
        raise OpsVerifyError(
            say(
                "{selector} counts what probes and scrapes ask for ({label} is {values}): a canary without any users "
                "would look served; leave them out in match, such as {label}!~{pattern}",
                selector=selector,
                label=label,
                values=listed_values(tuple(sorted(values))),
                pattern=json.dumps("|".join(sorted(values))),
            )
        )
    return say("no requests of probes")


def _in_turn(prometheus: Prometheus, selector: str) -> str:
    """Ask for the same past again and again: one server never changes the times of its samples."""
    at = prometheus.now() - _SETTLED_S
    seen: dict[str, tuple[float, ...]] = {}
    for _ in range(_ASKED_AGAIN):
        for series in prometheus.history(selector, _SETTLED_S, at):
            times = tuple(moment for moment, _ in series.points)
            if seen.setdefault(series.key, times) != times:
                raise OpsVerifyError(
                    say(
                        "{selector}: the same time holds other samples when asked again: several servers answer at "
                        "this URL in turn, and counts of one step come from scrapes of both; give the URL of one of "
                        "them, or of one that merges their series",
                        selector=selector,
                    )
                )
    return say("the same samples when asked again")


def _both_ends(prometheus: Prometheus, selector: str) -> str:
    """Whether Istio's proxies of client and server both count a request."""
    reporters = {sample.labels.get("reporter", "") for sample in prometheus.instant(selector).samples}
    if reporters >= _REPORTERS:
        raise OpsVerifyError(
            say(
                "{selector} counts each request at both ends (reporter is {values}): evidence is doubled; select one "
                'of them in match, such as reporter="destination"',
                selector=selector,
                values=", ".join(sorted(_REPORTERS)),
            )
        )
    return say("each request is counted once")


def _once(prometheus: Prometheus, scopes: Sequence[str], instance_label: str) -> str:
    for scope in scopes:
        keys = sorted(Series(sample.labels, ()).key for sample in prometheus.instant(scope).samples)
        for twice in scraped_twice(keys, instance_label):
            raise OpsVerifyError(
                say(
                    "{selector}: {{{series}}} is scraped by two jobs or replicas, and the canary's stages hold; select "
                    "one of them in [canary], or name the label that tells processes apart (canary.instance_label)",
                    selector=scope,
                    series=twice,
                )
            )
    return say("no series is scraped twice")


def _bad_ones(prometheus: Prometheus, signals: Signals, name: str) -> str:
    meaning = meaning_of(prometheus, signals, name)
    if meaning.fault is not None:
        raise OpsVerifyError(meaning.fault)
    return meaning.text


def _bucket(prometheus: Prometheus, signals: Signals, limit_s: float) -> str:
    buckets = signals.duration_buckets
    bound = buckets.bound(limit_s)
    if prometheus.instant(buckets.bucket(limit_s)).samples:
        return say("bucket le={bound:g} exists", bound=bound)
    found = prometheus.label_values("le", buckets.selector(), LOOKED_BACK)
    if not found:
        raise OpsVerifyError(_no_buckets(prometheus, buckets))
    raise OpsVerifyError(
        say(
            "no bucket le={bound:g}; set the limit to one of {listed_values}, or export it",
            bound=bound,
            listed_values=listed_values(found),
        )
    )


def _boundary(prometheus: Prometheus, signals: Signals, limit_s: float) -> str:
    """Whether what is slower than the limit can be counted in native histograms; raises SourceFault where not."""
    selector = signals.duration_buckets.bucket(limit_s)
    found = [series for series in prometheus.history(selector, _SETTLED_S, prometheus.now()) if series.histograms]
    if not found:
        raise OpsVerifyError(
            say(
                "{selector}: no native histogram; have Prometheus scrape them (scrape_native_histograms), or leave "
                "native out",
                selector=selector,
            )
        )
    for series in found:
        series.within(limit_s)
    return say("what is slower than {limit} can be counted", limit=duration(limit_s))


def _no_buckets(prometheus: Prometheus, buckets: Signal) -> str:
    """What to say of a histogram without buckets: most often it is a summary."""
    summary = (buckets.name or "").removesuffix("_bucket")
    if summary and prometheus.known(f'{summary}{{quantile!=""}}', LOOKED_BACK):
        return say(
            "{summary} is a summary: quantiles of several pods make no share of slow ones; export a histogram with "
            'this limit, or say duration_buckets = {{ absent = "the reason" }}',
            summary=summary,
        )
    return say("no buckets at all; correct the name in prometheus.signals, or export a histogram")


def _series(prometheus: Prometheus, selector: str) -> str:
    found = len(prometheus.instant(selector).samples)
    if not found:
        raise OpsVerifyError(
            say("no series {selector}; correct the name in prometheus.signals, or export the metric", selector=selector)
        )
    return say("{found} series {selector}", found=found, selector=selector)


def _clock(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")
