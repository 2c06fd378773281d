"""`opsverify doctor`: what can be reached on a target, with which rights, and what each stage would lack."""

from __future__ import annotations

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
from opsverify.cli.doctor_metrics import metric_findings
from opsverify.cli.doctor_services import service_findings
from opsverify.cli.doctor_stages import stage_findings
from opsverify.cli.history_state import history_findings
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import OpsVerifyError
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.probes.access import access_to
from opsverify.probes.alertmanager import Alertmanager
from opsverify.probes.inbox import Inbox
from opsverify.probes.mcp import Mcp

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets


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


def _findings(target_file: Path, target: Target, secrets: Secrets, root: Path) -> Iterator[DoctorFinding]:
    yield from service_findings(target, secrets)
    if target.prometheus:
        yield from metric_findings(target, secrets)
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
