"""Findings of `opsverify doctor`: how each part is named, and those on recovery and regions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive, OpsVerifyError
from opsverify.language.message import as_message, say
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.restore.recoverable import newest_recoverable
from opsverify.recovery.rpo.heartbeat_log import HeartbeatLog
from opsverify.switchback.described import require_regions
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets

STALE_BEATS = 30
"""Beats that may be missing before the heartbeat counts as stopped."""


@dataclass(frozen=True)
class DoctorFinding:
    """One part of a target; where it is not `ok`, `text` says what was found and what to do.

    `lacking`: nothing that the target describes is wrong; what is missing keeps some stage on hold.
    """

    part: str
    ok: bool
    text: str
    lacking: bool = False

    @property
    def state(self) -> str:
        """`ok`, `LACK` or `FAIL`, in four letters."""
        return "ok  " if self.ok else "LACK" if self.lacking else "FAIL"


def recovery_state(target: Target) -> str:
    """How far backup and WAL reach, or which backups there are. Raises Inconclusive where none is usable."""
    if target.recovery is None:
        return say("absent")
    if target.recovery.method in ("basebackup", "incremental"):
        return say(
            "backup and WAL reach {newest_recoverable}",
            newest_recoverable=newest_recoverable(target.recovery).isoformat(),
        )
    # To know how far the others reach they would have to be restored.
    stock = source_of(target.recovery).list_backups()
    if not stock.usable:
        raise Inconclusive(say("{method} has no usable backup", method=target.recovery.method))
    wal = say(", newest WAL {name}", name=stock.newest_wal.name) if stock.newest_wal else ""
    return say(
        "{count} usable backups, the newest of {taken_at}{wal}",
        count=len(stock.usable),
        taken_at=stock.usable[-1].taken_at.isoformat(),
        wal=wal,
    )


def heartbeat_state(target: Target) -> str:
    """How old the newest beat is. Raises OpsVerifyError where the heartbeat stopped."""
    heartbeat = target.recovery and target.recovery.heartbeat
    if not heartbeat:
        return say("absent")
    beats = HeartbeatLog(Path(heartbeat.log)).read()
    if not beats:
        raise OpsVerifyError(say("{log}: no beat; run `opsverify dr heartbeat` all the time", log=heartbeat.log))
    age_s = (dt.datetime.now(dt.UTC) - beats[-1].at).total_seconds()
    if age_s > STALE_BEATS * max(heartbeat.every_s, 1.0):
        raise OpsVerifyError(
            say(
                "{log}: no beat for {elapsed}; start `opsverify dr heartbeat`",
                log=heartbeat.log,
                elapsed=elapsed(age_s),
            )
        )
    return say("beat {number}, {elapsed} ago", number=beats[-1].number, elapsed=elapsed(max(age_s, 0.0)))


def region_findings(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
    """The resolvers of the regions, and the role of each database."""
    from opsverify.probes.dns import resolve  # noqa: PLC0415
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415

    config = require_regions(target)
    for resolver in config.resolvers:
        yield attempt(
            f"regions resolver {resolver}",
            lambda where=resolver: say(
                "{name}: {addresses}",
                name=config.name,
                addresses=", ".join(resolve(config.name, where).addresses) or say("no address"),
            ),  # type: ignore[misc]
        )
    for name, region in (("original", config.original), ("dr", config.dr)):
        with Postgres(region.database, secrets.of(region.database.login.password)) as database:
            yield attempt(
                f"regions.{name}.database",
                lambda session=database: say("standby") if session.server().in_recovery else say("primary"),  # type: ignore[misc]
            )


def attempt(part: str, measure: Callable[[], str]) -> DoctorFinding:
    """One part, as `measure` finds it, or why it cannot be reached."""
    try:
        return DoctorFinding(part, ok=True, text=measure())
    except OpsVerifyError as error:
        return DoctorFinding(part, ok=False, text=as_message(str(error)).each(lambda text: text.partition("\n")[0]))
