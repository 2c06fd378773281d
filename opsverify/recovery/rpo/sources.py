"""RPO sources, three and independent: heartbeat, archive, server. Pure: no database, no clock.

Each reports the last restored commit, and the last one before the disaster, where it can. They agree when no two
differ by more than a tolerance; then the loss is measured from the earliest `recovered_to` to the latest `newest`,
and in transactions. Sources that differ are named with their reports: then nothing is proven. One source alone
proves nothing either.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import join, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from opsverify.recovery.rpo.heartbeat_log import HeartbeatComparison
    from opsverify.recovery.wal.commits import Tail

LEAST_SOURCES: Final = 2
"""Sources needed at least: one alone is checked by no other."""
_NAMES: Final = {"archive": say("archive"), "heartbeat": say("heartbeat"), "server": say("server")}


@dataclass(frozen=True)
class RpoSource:
    """Report of one source; `absent` is the reason why there is none.

    `recovered_to` is the last restored commit, `newest` the last one before the disaster; None where the source
    cannot measure it. `lost` counts lost items, whose unit is `counted`; at most `bound` transactions were lost.
    `behind_s` is how far the source lags by design: a heartbeat commits once in an interval.
    """

    name: str
    recovered_to: dt.datetime | None = None
    newest: dt.datetime | None = None
    lost: int | None = None
    counted: str = ""
    bound: int | None = None
    behind_s: float = 0.0
    absent: str | None = None

    @property
    def source(self) -> str:
        """The name, in the reader's language."""
        return _NAMES.get(self.name, self.name)

    def __str__(self) -> str:
        if self.absent:
            return say("{name} is absent ({absent})", name=self.source, absent=self.absent)
        parts = [
            say("restored to {recovered_to}", recovered_to=self.recovered_to.isoformat())
            if self.recovered_to
            else say("restored data not measured")
        ]
        if self.newest:
            parts.append(say("newest {newest}", newest=self.newest.isoformat()))
        if self.lost is not None:
            parts.append(say("{lost:,} {counted} lost", lost=self.lost, counted=self.counted))
        return say("{name}: {parts}", name=self.source, parts=join(", ", parts))


@dataclass(frozen=True)
class RpoLoss:
    """What was lost, by all sources together: seconds, and transactions (`at_least` and `at_most`)."""

    recovered_to: dt.datetime | None
    newest: dt.datetime | None
    seconds: float
    at_least: int
    at_most: int | None
    sources: tuple[RpoSource, ...]

    @property
    def transactions(self) -> str:
        """The number of transactions, as far as it is known."""
        if self.at_most is None:
            return say("at least {at_least:,}", at_least=self.at_least)
        if self.at_most == self.at_least:
            return f"{self.at_least:,}"
        return say("{at_least:,} to {at_most:,}", at_least=self.at_least, at_most=self.at_most)

    def __str__(self) -> str:
        return say(
            "of data and {transactions} transactions lost; {sources}",
            transactions=self.transactions,
            sources=join("; ", map(str, self.sources)),
        )


def from_archive(tail: Tail, *, left_behind: bool = True) -> RpoSource:
    """The archive's report; commits that were not archived are not in it.

    Where no recovery abandoned a timeline (`left_behind` off), nothing of the archive was lost, and the database
    may hold more than the archive.
    """
    if not left_behind:
        return RpoSource("archive", None, tail.newest, 0, say("archived commits"))
    if tail.recovered_to is None:
        return RpoSource("archive", absent=say("no commit was archived between backup and recovery target"))
    return RpoSource("archive", tail.recovered_to, tail.newest, tail.lost, say("archived commits"))


def unchanged(tail: Tail, until: dt.datetime) -> tuple[RpoSource, RpoSource]:
    """Reports of archive and restored server where neither knows of a commit between backup and recovery target.

    Each shows by itself that nothing was committed in that time, so the restored data is that of the target.
    """
    return RpoSource("archive", until, tail.newest, tail.lost, say("archived commits")), RpoSource("server", until)


def from_heartbeat(found: HeartbeatComparison, interval_s: float) -> RpoSource:
    """The heartbeat's report. Raises Inconclusive for a beat that should have been restored and was not."""
    if found.missing:
        first = found.missing[0]
        raise Inconclusive(
            say(
                "heartbeat: {count} commits acknowledged before the recovery target were not restored, "
                "the first is beat {number} of {at}: compare the data before anything else",
                count=len(found.missing),
                number=first.number,
                at=first.at.isoformat(),
            )
        )
    if found.last_restored is None:
        return RpoSource("heartbeat", absent=say("no beat was acknowledged between backup and recovery target"))
    return RpoSource(
        "heartbeat",
        found.last_restored.at,
        (found.lost[-1] if found.lost else found.last_restored).at,
        len(found.lost),
        say("acknowledged beats"),
        bound=found.transactions,
        behind_s=interval_s,
    )


def from_server(replayed: dt.datetime | None, target: dt.datetime, why_absent: str) -> RpoSource:
    """The server's report, its pg_last_xact_replay_timestamp().

    Raises Inconclusive when it lies after `target`: another timeline than the requested one was replayed.
    """
    if replayed is None:
        return RpoSource("server", absent=why_absent)
    if replayed > target:
        raise Inconclusive(
            say(
                "server: replayed up to {replayed}, past the recovery target {target}: it followed "
                "another timeline, or was recovered to another target",
                replayed=replayed.isoformat(),
                target=target.isoformat(),
            )
        )
    return RpoSource("server", replayed)


def agreed_loss(sources: Sequence[RpoSource], tolerance_s: float) -> RpoLoss:
    """Return the loss on which the sources agree.

    `tolerance_s` is how far two may differ, in seconds. Raises Inconclusive when two differ by more, when the
    heartbeat stopped before the archive's last commit, or when fewer than `LEAST_SOURCES` report.
    """
    present = [source for source in sources if source.absent is None]
    reports = join("; ", map(str, sources))
    if len(present) < LEAST_SOURCES:
        raise Inconclusive(
            say(
                "{count} of {least_sources} RPO sources needed reported: {reports}; run `opsverify dr "
                "heartbeat` all the time",
                count=len(present),
                least_sources=LEAST_SOURCES,
                reports=reports,
            )
        )
    for one, other in combinations(present, 2):
        if one.recovered_to is None or other.recovered_to is None:
            continue
        difference_s = abs((one.recovered_to - other.recovered_to).total_seconds())
        if difference_s > tolerance_s + max(one.behind_s, other.behind_s):
            raise Inconclusive(
                say(
                    "{name} and {other} differ by {difference_s:.1f} s on the restored data: {reports}",
                    name=one.source,
                    other=other.source,
                    difference_s=difference_s,
                    reports=reports,
                )
            )
    _not_stopped(present, tolerance_s, reports)
    # Sources exact to the commit; a beat is up to an interval older than the last restored commit.
    known = [(source.behind_s, source.recovered_to) for source in present if source.recovered_to]
    restored = min((moment for behind_s, moment in known if not behind_s), default=known[0][1] if known else None)
    newest = max((source.newest for source in present if source.newest), default=None)
    at_least = max((source.lost for source in present if source.lost is not None), default=0)
    bound = max((source.bound for source in present if source.bound is not None), default=None)
    return RpoLoss(
        recovered_to=restored,
        newest=newest,
        seconds=max(0.0, (newest - restored).total_seconds()) if newest and restored else 0.0,
        at_least=at_least,
        at_most=None if bound is None else max(bound, at_least),
        sources=tuple(sources),
    )


def _not_stopped(present: Sequence[RpoSource], tolerance_s: float, reports: str) -> None:
    latest = max((source.newest for source in present if source.newest and not source.behind_s), default=None)
    for source in present:
        if source.behind_s and source.newest and latest:
            stopped_s = (latest - source.newest).total_seconds()
            if stopped_s > tolerance_s + source.behind_s:
                raise Inconclusive(
                    say(
                        "{name} stopped {stopped_s:.1f} s before the last archived commit: {reports}; is "
                        "`opsverify dr heartbeat` running?",
                        name=source.source,
                        stopped_s=stopped_s,
                        reports=reports,
                    )
                )
