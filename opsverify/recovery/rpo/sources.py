"""RPO by witnesses that know nothing of each other: heartbeat, archive, server. Pure: no database, no clock.

Each says up to which commit the data came back, and which was the last one before the disaster, as far as it
knows. They agree when no two differ by more than a tolerance; then the loss is measured from the earliest
`recovered_to` to the latest `newest`, and in transactions. Whoever disagrees is named with what he says: then
nothing is proven. One witness alone proves nothing either.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from opsverify.recovery.rpo.heartbeat_log import HeartbeatComparison
    from opsverify.recovery.wal.commits import Tail

LEAST_SOURCES: Final = 2
"""So many witnesses at least: one has nobody who would contradict him."""


@dataclass(frozen=True)
class RpoSource:
    """What one witness says. `absent` says why it says nothing.

    `recovered_to` is the last commit that came back, `newest` the last one made before the disaster; None where the
    witness cannot know. `lost` counts what he saw lost, in words `counted`; at most `bound` transactions were.
    `behind_s` is how far he may lag by nature: a heartbeat knows of commits only once in an interval.
    """

    name: str
    recovered_to: dt.datetime | None = None
    newest: dt.datetime | None = None
    lost: int | None = None
    counted: str = ""
    bound: int | None = None
    behind_s: float = 0.0
    absent: str | None = None

    def __str__(self) -> str:
        if self.absent:
            return f"{self.name} is absent ({self.absent})"
        said = [f"back to {self.recovered_to.isoformat()}" if self.recovered_to else "cannot say what came back"]
        if self.newest:
            said.append(f"newest {self.newest.isoformat()}")
        if self.lost is not None:
            said.append(f"{self.lost:,} {self.counted} lost")
        return f"{self.name}: {', '.join(said)}"


@dataclass(frozen=True)
class RpoLoss:
    """What was lost, as all witnesses together say: seconds, and transactions (`at_least` and `at_most`)."""

    recovered_to: dt.datetime | None
    newest: dt.datetime | None
    seconds: float
    at_least: int
    at_most: int | None
    witnesses: tuple[RpoSource, ...]

    @property
    def transactions(self) -> str:
        """The number of transactions, as far as it is known."""
        if self.at_most is None:
            return f"at least {self.at_least:,}"
        if self.at_most == self.at_least:
            return f"{self.at_least:,}"
        return f"{self.at_least:,} to {self.at_most:,}"

    def __str__(self) -> str:
        return f"of data and {self.transactions} transactions lost; {'; '.join(map(str, self.witnesses))}"


def from_archive(tail: Tail, *, left_behind: bool = True) -> RpoSource:
    """The archive's statement; it knows of no commit that was not archived.

    Where no recovery left any history behind, nothing of the archive was lost, and more may be there than in it.
    """
    if not left_behind:
        return RpoSource("archive", None, tail.newest, 0, "archived commits")
    if tail.recovered_to is None:
        return RpoSource("archive", absent="no commit was archived between backup and recovery target")
    return RpoSource("archive", tail.recovered_to, tail.newest, tail.lost, "archived commits")


def from_heartbeat(found: HeartbeatComparison, interval_s: float) -> RpoSource:
    """The heartbeat's statement. Raises Inconclusive for a beat that ought to have come back and did not."""
    if found.missing:
        hole = found.missing[0]
        raise Inconclusive(
            f"heartbeat says that {len(found.missing)} commits acknowledged before the recovery target did not come "
            f"back, the first is beat {hole.number} of {hole.at.isoformat()}: compare the data before anything else"
        )
    if found.last_back is None:
        return RpoSource("heartbeat", absent="no beat was acknowledged between backup and recovery target")
    return RpoSource(
        "heartbeat",
        found.last_back.at,
        (found.lost[-1] if found.lost else found.last_back).at,
        len(found.lost),
        "acknowledged beats",
        bound=found.transactions,
        behind_s=interval_s,
    )


def from_server(replayed: dt.datetime | None, target: dt.datetime, why_absent: str) -> RpoSource:
    """The server's statement, its pg_last_xact_replay_timestamp().

    Raises Inconclusive when it lies after `target`: it was replayed on another way than the one asked for.
    """
    if replayed is None:
        return RpoSource("server", absent=why_absent)
    if replayed > target:
        raise Inconclusive(
            f"server says that it replayed up to {replayed.isoformat()}, past the recovery target "
            f"{target.isoformat()}: it followed another timeline, or was recovered to another target"
        )
    return RpoSource("server", replayed)


def agree(witnesses: Sequence[RpoSource], tolerance_s: float) -> RpoLoss:
    """Return the loss that the witnesses agree on.

    `tolerance_s` is how far two may differ, in seconds. Raises Inconclusive when two differ by more, when the
    heartbeat fell silent before the archive's last commit, or when fewer than `LEAST_SOURCES` testify.
    """
    present = [witness for witness in witnesses if witness.absent is None]
    said = "; ".join(map(str, witnesses))
    if len(present) < LEAST_SOURCES:
        raise Inconclusive(
            f"{len(present)} of {LEAST_SOURCES} witnesses needed say what was lost: {said}; "
            "run `opsverify dr heartbeat` all the time"
        )
    for one, other in combinations(present, 2):
        if one.recovered_to is None or other.recovered_to is None:
            continue
        apart = abs((one.recovered_to - other.recovered_to).total_seconds())
        if apart > tolerance_s + max(one.behind_s, other.behind_s):
            raise Inconclusive(f"{one.name} and {other.name} disagree by {apart:.1f} s on what came back: {said}")
    _not_silent(present, tolerance_s, said)
    # Those who know to the commit; a beat is up to an interval older than the last commit that came back.
    known = [(witness.behind_s, witness.recovered_to) for witness in present if witness.recovered_to]
    back = min((moment for behind_s, moment in known if not behind_s), default=known[0][1] if known else None)
    newest = max((witness.newest for witness in present if witness.newest), default=None)
    at_least = max((witness.lost for witness in present if witness.lost is not None), default=0)
    bound = max((witness.bound for witness in present if witness.bound is not None), default=None)
    return RpoLoss(
        recovered_to=back,
        newest=newest,
        seconds=max(0.0, (newest - back).total_seconds()) if newest and back else 0.0,
        at_least=at_least,
        at_most=None if bound is None else max(bound, at_least),
        witnesses=tuple(witnesses),
    )


def _not_silent(present: Sequence[RpoSource], tolerance_s: float, said: str) -> None:
    latest = max((witness.newest for witness in present if witness.newest and not witness.behind_s), default=None)
    for witness in present:
        if witness.behind_s and witness.newest and latest:
            silent_s = (latest - witness.newest).total_seconds()
            if silent_s > tolerance_s + witness.behind_s:
                raise Inconclusive(
                    f"{witness.name} was silent for {silent_s:.1f} s before the last archived commit: {said}; "
                    "is `opsverify dr heartbeat` running?"
                )
