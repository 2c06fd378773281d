"""`opsverify doctor`: what can be reached on a target, with which rights, and what each stage would lack."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.doctor_database import database_findings
from opsverify.cli.doctor_findings import (
    DoctorFinding,
    attempt,
    heartbeat_state,
    recovery_state,
    region_findings,
)
from opsverify.cli.doctor_services import service_findings
from opsverify.cli.doctor_stages import stage_findings
from opsverify.cli.history_state import history_findings
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.config.signals import SHARES, Signals
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import OpsVerifyError
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.metrics.same_series import Told, same_text, suspects, told_if_answered
from opsverify.metrics.scraped_by import scraped_twice
from opsverify.metrics.signal_meaning import LOOKED_BACK, listed_values, meaning_of
from opsverify.probes.access import access_to
from opsverify.probes.alertmanager import Alertmanager
from opsverify.probes.inbox import Inbox
from opsverify.probes.mcp import Mcp
from opsverify.probes.prometheus_values import Series

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.prometheus import Prometheus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print every finding; 0 where all that the target describes is well, 10 (hold) where something is wrong.

    What a stage would lack (a check, a snapshot to compare with) is told apart, and is no problem of the platform.

    Raises TargetError for a target file that cannot be used at all.
    """
    root = project_root(options.target)
    target_file = find_target(target_argument(options.target), root / "targets")
    target, secrets = load_target(target_file)
    language = reader_language(options)
    problems: list[str] = []
    lacks: list[str] = []
    for finding in _findings(target_file, target, secrets, root):
        if not finding.ok:
            (lacks if finding.lacking else problems).append(finding.part)
        text = say("{state}  {part} {text}", state=finding.state, part=f"{finding.part:<28}", text=finding.text)
        tell(text, language)
    if lacks:
        missing = ", ".join(dict.fromkeys(lacks))
        tell(say("{name}: lacking, stages hold without it: {parts}", name=target.name, parts=missing), language)
    tell(_total(target.name, problems, lacking=bool(lacks)), language)
    return ExitCode.HOLD if problems else ExitCode.PASSED


def _total(name: str, problems: Sequence[str], *, lacking: bool) -> str:
    if not problems:
        if lacking:
            return say("{name}: no problems in what the target describes", name=name)
        return say("{name}: no problems", name=name)
    parts = ", ".join(dict.fromkeys(problems))
    if len(problems) == 1:
        return say("{name}: 1 problem: {parts}", name=name, parts=parts)
    return say("{name}: {problems} problems: {parts}", name=name, problems=len(problems), parts=parts)


def _clock(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _findings(target_file: Path, target: Target, secrets: Secrets, root: Path) -> Iterator[DoctorFinding]:
    yield from service_findings(target, secrets)
    if target.prometheus:
        yield from _metrics(target, secrets)
    if target.postgres:
        yield from database_findings(target, secrets)
    if target.redis:
        yield attempt("redis", lambda: _redis(target, secrets))
    for name in target.mcp:
        yield attempt(f"mcp.{name}", lambda name=name: _mcp(target, secrets, name))  # type: ignore[misc]
    if target.alertmanager or target.inbox:
        yield from _alerting(target, secrets)
    if target.recovery:
        yield attempt("recovery", lambda: recovery_state(target))
        if target.recovery.heartbeat:
            yield attempt("recovery.heartbeat", lambda: heartbeat_state(target))
    if target.regions:
        yield from region_findings(target, secrets)
    yield from history_findings(target, root)
    yield from stage_findings(target_file, target, root)


def _metrics(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
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
    if signals.absent("duration_buckets") is None and not signals.duration_buckets.native:
        bound = target.limits.judgment_p95.bound
        yield attempt("limits.judgment_p95", lambda: _bucket(prometheus, signals, bound))


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


def _bucket(prometheus: Prometheus, signals: Signals, bound: float) -> str:
    if prometheus.instant(signals.duration_buckets.bucket(bound)).samples:
        return say("bucket le={bound:g} exists", bound=bound)
    found = prometheus.label_values("le", signals.duration_buckets.selector(), LOOKED_BACK)
    raise OpsVerifyError(
        say(
            "no bucket le={bound:g}; set the limit to one of {listed_values}, or export it",
            bound=bound,
            listed_values=listed_values(found),
        )
    )


def _series(prometheus: Prometheus, selector: str) -> str:
    found = len(prometheus.instant(selector).samples)
    if not found:
        raise OpsVerifyError(
            say("no series {selector}; correct the name in prometheus.signals, or export the metric", selector=selector)
        )
    return say("{found} series {selector}", found=found, selector=selector)


def _redis(target: Target, secrets: Secrets) -> str:
    from opsverify.probes.redis import open_redis  # noqa: PLC0415

    config = target.redis
    if config is None:
        return say("absent")
    with open_redis(config, secrets) as redis:
        info = redis.info()
        if info.persistence != config.persistence:
            raise OpsVerifyError(
                say(
                    "persistence {found}, expected {expected}; correct redis.persistence, or the server's settings",
                    found=info.persistence,
                    expected=config.persistence,
                )
            )
        return say("Redis {version}, persistence {persistence}", version=info.version, persistence=info.persistence)


def _mcp(target: Target, secrets: Secrets, name: str) -> str:
    config = target.mcp[name]
    with Mcp(config, access_to(config, secrets, target.proxy)) as server:
        found = server.describe()
        missing = set(config.tools) - set(found.tools)
        if missing:
            raise OpsVerifyError(
                say(
                    "missing tools {missing}; offered: {offered}",
                    missing=", ".join(sorted(missing)),
                    offered=", ".join(found.tools) or say("none"),
                )
            )
        return say("{server}, {count} tools", server=found.server_name, count=len(found.tools))


def _alerting(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
    from opsverify.probes.http import Http  # noqa: PLC0415

    with Http(proxy=target.proxy) as http:
        if (config := target.alertmanager) is not None:
            manager = Alertmanager(config, http, access_to(config, secrets, target.proxy))
            yield attempt("alertmanager", lambda: say("version {version}", version=manager.status().version))
        if (channel := target.inbox) is not None:
            inbox = Inbox(channel, http, access_to(channel, secrets, target.proxy))
            yield attempt("inbox", lambda: say("{count} messages of opsverify", count=len(inbox.messages("opsverify"))))
