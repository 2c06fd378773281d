"""Review of a week's statements: where its time went, what is slow, what became slower, and what is not covered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.periodic.statements import DATABASES, INSTALLED
from opsverify.units import listed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.history.compare import Pair
    from opsverify.history.snapshot import Row
    from opsverify.language.message import Message
    from opsverify.limits import Limit
    from opsverify.probes.postgres import Postgres

WEEK_S: Final = 7 * 86400.0
LEADING: Final = 10
"""Statements that are shown, and whose loss by eviction leaves a review without its subject."""
ENOUGH_CALLS: Final = 20
"""Calls before a mean is judged: a nightly job has fewer in a week."""
SLOWER: Final = 2.0
"""How many times its earlier mean a statement takes to count as slower."""
MORE_WORK: Final = 1.5
"""How many times its earlier rows or blocks a call it takes to count as doing more."""
GROWN: Final = ("calls", "total_exec_time", "rows", "shared_blks_hit", "shared_blks_read")
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
_TEXT: Final = 120


@dataclass(frozen=True)
class StatementWeek:
    """One statement in the time between two snapshots, and before the earlier one; times in seconds."""

    key: str
    calls: float
    total_s: float
    rows_a_call: float
    blocks_a_call: float
    before: tuple[float, float, float, float] | None
    """Calls, mean, rows a call and blocks a call up to the earlier snapshot; None where it was not there."""

    @property
    def mean_s(self) -> float:
        """Seconds a call."""
        return self.total_s / self.calls if self.calls else 0.0

    @property
    def top_level(self) -> bool:
        """Whether it was sent by a client: what a function runs is counted within the statement that called it."""
        return self.key.endswith("/top")

    def added_s(self, span_s: float) -> float:
        """Seconds a week that its calls take more than they took before; 0 where it is not slower."""
        if self.before is None or min(self.calls, self.before[0]) < ENOUGH_CALLS:
            return 0.0
        mean = self.before[1]
        if self.mean_s < SLOWER * mean:
            return 0.0
        return self.calls * (self.mean_s - mean) * WEEK_S / span_s

    @property
    def cause(self) -> Message:
        """What a slower statement does more of, if anything."""
        if self.before is None:
            return say("new")
        _, _, rows, blocks = self.before
        if self.rows_a_call > MORE_WORK * max(rows, 1.0):
            return say("{now:.0f} rows a call instead of {before:.0f}: data", now=self.rows_a_call, before=rows)
        if self.blocks_a_call > MORE_WORK * max(blocks, 1.0):
            return say(
                "{now:.0f} blocks a call instead of {before:.0f}: plan or data", now=self.blocks_a_call, before=blocks
            )
        return say("same rows and blocks a call: I/O, locks or CPU")


class StatementReview:
    """What a pair of snapshots of statements shows; texts and names are read for what is shown."""

    def __init__(self, pair: Pair, postgres: Postgres) -> None:
        self.pair = pair
        self._postgres = postgres

    @cached_property
    def statements(self) -> tuple[StatementWeek, ...]:
        """Every statement that ran in between, most time first."""
        found = (
            _week(key, grown, self.pair.earlier.rows.get(key))
            for key, grown in self.pair.growths(*GROWN)
            if not key.startswith(DATABASES) and grown["calls"]
        )
        return tuple(sorted(found, key=lambda one: -one.total_s))

    @cached_property
    def total_s(self) -> float:
        """Seconds of all statements that clients sent; those of functions are within them."""
        return sum(one.total_s for one in self.statements if one.top_level)

    @cached_property
    def covered(self) -> float | None:
        """Share of the time that sessions were active which the known statements explain; None where unknown."""
        grown = [self.pair.growth(key, "active_ms") for key in self.pair.later.rows if key.startswith(DATABASES)]
        active_s = sum(one["active_ms"] for one in grown if one) / 1000
        if None in grown or not active_s:
            return None
        return min(1.0, self.total_s / active_s)

    def slow(self, limit: Limit) -> tuple[StatementWeek, ...]:
        """Statements that take longer on average than `limit`, slowest first."""
        slow = [one for one in self.statements if one.calls >= ENOUGH_CALLS and not limit.holds(one.mean_s)]
        return tuple(sorted(slow, key=lambda one: -one.mean_s))

    def regressed(self, limit: Limit) -> tuple[StatementWeek, ...]:
        """Statements that became slower and add more seconds a week than `limit`, most first."""
        span = self.pair.span_s
        return tuple(
            sorted(
                (one for one in self.statements if not limit.holds(one.added_s(span))),
                key=lambda one: -one.added_s(span),
            )
        )

    def names(self, statements: Iterable[StatementWeek]) -> list[Message]:
        """Statements for a person: user, database, id, mean, and for slower ones by how much and why."""
        shown = list(statements)[:LEADING]
        texts = self._texts(one.key for one in shown)
        return [self._name(one, texts.get(one.key)) for one in shown]

    def require_covered(self, limit: Limit) -> None:
        """Raise Inconclusive where the source dropped entries and what is left does not speak for the week."""
        if not self.pair.lost:
            return
        earlier = sorted(
            (key for key in self.pair.earlier.rows if key.endswith("/top")),
            key=lambda key: -_number(self.pair.earlier.rows[key]["total_exec_time"]),
        )[:LEADING]
        gone = [key for key in earlier if key not in self.pair.later.rows]
        if not gone and self.covered is not None and limit.holds(self.covered):
            return
        covered = self.covered
        raise Inconclusive(
            say(
                "pg_stat_statements dropped entries {lost} times, {uncovered} of the sessions' active time is not "
                "covered{gone}; raise pg_stat_statements.max",
                lost=self.pair.lost,
                uncovered=say("an unknown share") if covered is None else quantity(1 - covered, "ratio"),
                gone=join("", [", ", listed(say("leading statements gone"), gone)]) if gone else "",
            )
        )

    @property
    def table(self) -> str:
        """The leading statements by time and by mean, one a line."""
        by_mean = sorted((s for s in self.statements if s.calls >= ENOUGH_CALLS), key=lambda one: -one.mean_s)
        lines: list[str] = []
        for title, chosen in (("by total time", self.statements), ("by mean", by_mean)):
            shown = list(chosen)[:LEADING]
            texts = self._texts(one.key for one in shown)
            lines += [title, f"{'total s':>10} {'share':>7} {'calls':>10} {'mean ms':>10} {'rows/call':>10}  statement"]
            for one in shown:
                share = one.total_s / self.total_s if self.total_s and one.top_level else 0.0
                who, text = _who(one.key, texts.get(one.key))
                lines.append(
                    f"{one.total_s:10.2f} {share:7.1%} {one.calls:10,.0f} {one.mean_s * 1000:10.2f}"
                    f" {one.rows_a_call:10.1f}  {who} {text}"
                )
            lines.append("")
        return "\n".join(lines)

    def _name(self, one: StatementWeek, found: Any) -> Message:  # noqa: ANN401 - a row
        who, text = _who(one.key, found)
        mean = quantity(one.mean_s, "s")
        added = one.added_s(self.pair.span_s)
        if not added or one.before is None:
            return say("{who} {mean} a call ({text})", who=who, mean=mean, text=text)
        return say(
            "{who} {mean} a call, before {before}, adds {added} a week, {cause} ({text})",
            who=who,
            mean=mean,
            before=quantity(one.before[1], "s"),
            added=quantity(added, "s"),
            cause=one.cause,
            text=text,
        )

    def _texts(self, keys: Iterable[str]) -> Mapping[str, Any]:
        """Names and masked text of statements, by key."""
        wanted = list(keys)
        if not wanted:
            return {}
        schema = self._postgres.row(INSTALLED).schema
        ids = sorted({int(key.split("/")[2]) for key in wanted})
        found = self._postgres.rows(
            f"""
            SELECT s.userid::text || '/' || s.dbid || '/' || s.queryid || '/'
                   || CASE WHEN s.toplevel THEN 'top' ELSE 'nested' END AS key, r.rolname, d.datname, s.query
              FROM {schema}.pg_stat_statements s
              LEFT JOIN pg_roles r ON r.oid = s.userid
              LEFT JOIN pg_database d ON d.oid = s.dbid
             WHERE s.queryid = ANY(%(ids)s::bigint[])
            """,  # noqa: S608 - quoted by the server
            ids=ids,
        )
        return {row.key: row for row in found if row.key in wanted}


def _week(key: str, grown: Mapping[str, float], before: Row | None) -> StatementWeek:
    calls = grown["calls"]
    blocks = grown["shared_blks_hit"] + grown["shared_blks_read"]
    return StatementWeek(
        key, calls, grown["total_exec_time"] / 1000, grown["rows"] / calls, blocks / calls, _before(before)
    )


def _before(row: Row | None) -> tuple[float, float, float, float] | None:
    if row is None or not (calls := _number(row["calls"])):
        return None
    blocks = _number(row["shared_blks_hit"]) + _number(row["shared_blks_read"])
    return calls, _number(row["total_exec_time"]) / 1000 / calls, _number(row["rows"]) / calls, blocks / calls


def _who(key: str, found: Any) -> tuple[str, str]:  # noqa: ANN401 - a row
    """User, database and id of a statement, and its text without literals."""
    user, database, query_id, level = key.split("/")
    if found is None:
        return f"user {user}, database {database}, id {query_id}", "no text"
    text = _LITERAL.sub("'...'", " ".join(str(found.query).split()))
    nested = "" if level == "top" else ", nested"
    return (
        f"{found.rolname or user}@{found.datname or database}{nested} {query_id}",
        text if len(text) <= _TEXT else text[:_TEXT] + "...",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
