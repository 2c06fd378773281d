"""Sessions of the database: who waits for whom, from the root of the chain, and whose transaction lasts too long."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opsverify.language.message import Message
    from opsverify.probes.postgres import Postgres

IDLE: Final = "idle in transaction"
# Autovacuum and walsenders are no client backends; the locks of one that waits are asked for alone.
SESSIONS: Final = """
SELECT pid, usename AS user, application_name AS application, state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_s,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS in_state_s,
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS blockers,
       CASE WHEN wait_event_type = 'Lock' THEN
         (SELECT extract(epoch FROM clock_timestamp() - min(waitstart))::float8
            FROM pg_locks l WHERE l.pid = a.pid AND NOT granted)
       END AS waits_s,
       backend_type IS NULL AS hidden
  FROM pg_stat_activity a
 WHERE coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid()
"""
_PREPARED: Final = 0
"""The process id that a prepared transaction blocks as."""


@dataclass(frozen=True, slots=True)
class DbSession:
    """One client; times in seconds, None where it has none."""

    pid: int
    user: str | None
    application: str
    state: str | None
    transaction_s: float | None
    in_state_s: float | None
    blockers: tuple[int, ...]
    waits_s: float | None

    @property
    def title(self) -> Message:
        """Who it is, and what it does."""
        return say(
            "{user} (pid {pid}{application}, {state} for {age})",
            user=self.user or "?",
            pid=self.pid,
            application=f", {self.application}" if self.application else "",
            state=self.state or "?",
            age=elapsed(max(0.0, self.in_state_s or 0.0)),
        )


@dataclass(frozen=True, slots=True)
class BlockedChain:
    """All sessions that wait because of one root, and how long the longest has waited."""

    root: Message
    waiting: int
    longest_s: float


def sessions(postgres: Postgres) -> tuple[DbSession, ...]:
    """Every client of the server. Raises Inconclusive where the role may not see what they do."""
    found = postgres.rows(SESSIONS)
    if any(row.hidden for row in found):
        raise Inconclusive(
            say(
                "{count} sessions of other roles are hidden; GRANT pg_read_all_stats TO the role of the probe",
                count=sum(row.hidden for row in found),
            )
        )
    return tuple(map(_session, found))


def chains(known: Iterable[DbSession]) -> tuple[BlockedChain, ...]:
    """Who waits, by the root of the chain, longest wait first. A circle has its smallest process id as root."""
    by_pid = {session.pid: session for session in known}
    waiting: dict[int, list[DbSession]] = defaultdict(list)
    for session in by_pid.values():
        for root in _roots(session, by_pid):
            waiting[root].append(session)
    found = (
        BlockedChain(
            by_pid[root].title if root in by_pid else say("a prepared transaction") if root == _PREPARED
            else say("pid {pid}", pid=root),
            len(blocked),
            max(session.waits_s or 0.0 for session in blocked),
        )
        for root, blocked in waiting.items()
    )  # fmt: skip
    return tuple(sorted(found, key=lambda chain: -chain.longest_s))


def longest_idle(known: Iterable[DbSession]) -> tuple[DbSession, ...]:
    """Sessions that hold a transaction open and do nothing, longest first."""
    idle = [one for one in known if (one.state or "").startswith(IDLE)]
    return tuple(sorted(idle, key=lambda one: -(one.in_state_s or 0.0)))


def longest_open(known: Iterable[DbSession]) -> tuple[DbSession, ...]:
    """Sessions by the age of their transaction, longest first."""
    return tuple(
        sorted((one for one in known if one.transaction_s is not None), key=lambda one: -(one.transaction_s or 0.0))
    )


def _roots(session: DbSession, by_pid: dict[int, DbSession]) -> set[int]:
    """The sessions at the ends of all chains that begin at `session`; none where it does not wait."""
    seen: set[int] = set()
    ahead, roots = list(session.blockers), set[int]()
    while ahead:
        pid = ahead.pop()
        if pid in seen:
            continue
        seen.add(pid)
        further = by_pid[pid].blockers if pid in by_pid else ()
        if further:
            ahead.extend(further)
        else:
            roots.add(pid)
    return roots or ({min(seen)} if seen else set())


def _session(row: Any) -> DbSession:  # noqa: ANN401 - a row
    return DbSession(
        row.pid, row.user, row.application, row.state, row.transaction_s, row.in_state_s, tuple(row.blockers),
        row.waits_s,
    )  # fmt: skip
