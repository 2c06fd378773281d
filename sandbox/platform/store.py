"""PostgreSQL store of the service: everything except BI figures and workflows."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from sandbox.platform.rules import Ruleset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from sandbox.platform.rules import Reading

STATEMENT_TIMEOUT_MS = 4_000
WAIT_SECONDS = 1.0
"""How long a request waits for a connection before it is refused."""

MOST_CONNECTIONS = 8
_log = logging.getLogger(__name__)


class StoreUnavailableError(Exception):
    """PostgreSQL failed: unreachable, read-only, locked, or over its time limit."""


class Store:
    """A pool of connections that starts without a server, and comes back when the server does."""

    def __init__(self, conninfo: str) -> None:
        # A connection is checked before each use: after a restore the pool is full of dead ones.
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]] = AsyncConnectionPool(
            f"{conninfo} application_name=judgment options='-c statement_timeout={STATEMENT_TIMEOUT_MS}'",
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=1,
            max_size=MOST_CONNECTIONS,
            timeout=WAIT_SECONDS,
            reconnect_timeout=0.5,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        self._failing = False
        # One line for each outage is enough; the pool would write one for each attempt.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

    async def open(self) -> None:
        """Start the pool without waiting for a connection."""
        await self._pool.open(wait=False)

    async def wait(self, patience: float) -> None:
        """Wait at most `patience` seconds for a first connection, and go on without one."""
        with suppress(PoolTimeout):
            async with self._pool.connection(timeout=patience):
                pass

    async def close(self) -> None:
        """Give up all connections."""
        await self._pool.close(timeout=0.5)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        """A connection in autocommit mode; every failure of PostgreSQL is a StoreUnavailableError."""
        try:
            async with self._pool.connection() as connection:
                yield connection
            self._failing = False
        except (psycopg.Error, PoolTimeout, TooManyRequests) as error:
            if not self._failing:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                _log.warning("PostgreSQL: %s; further failures are not logged until one succeeds", reason)
            self._failing = True
            raise StoreUnavailableError(type(error).__name__) from error

    async def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[DictRow]:
        """All rows of a query."""
        async with self.connection() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def execute(self, query: LiteralString, parameters: Sequence[object] = ()) -> int:
        """Run a statement; the number of rows it touched."""
        async with self.connection() as connection:
            return (await connection.execute(query, parameters)).rowcount

    async def versions_in_force(self, *, earlier_rules: bool) -> tuple[Ruleset, str, str]:
        """The rules in force (or those before them), and the names of the prompt and DSL versions in force."""
        rows = await self.rows(
            "SELECT r.version AS rule, r.body, p.version AS prompt, d.version AS dsl"
            " FROM rule_versions r, prompt_versions p, dsl_versions d WHERE p.active AND d.active AND r.active = NOT %s"
            " ORDER BY r.created_at DESC LIMIT 1",
            (earlier_rules,),
        )
        if not rows:
            raise StoreUnavailableError("no rule, prompt or DSL version in force")
        return Ruleset.parse(rows[0]["rule"], rows[0]["body"]), rows[0]["prompt"], rows[0]["dsl"]

    async def line_statistics(self, line_code: str, *, aggregated: bool) -> None:
        """Read the production of one line, from pre-aggregates or slowly from the raw rows."""
        if aggregated:
            await self.rows("SELECT sum(produced_qty) FROM bi_daily_production WHERE line_code = %s", (line_code,))
        else:
            await self.rows(
                "SELECT sum(produced_qty), pg_sleep(1.6) FROM fact_daily_production WHERE line_code = %s", (line_code,)
            )

    async def judged_by_others(self, rules: Ruleset, since: datetime, until: datetime, most: int) -> list[DictRow]:
        """Input and result of judgments of a time range that another rule version made, at most `most`."""
        return await self.rows(
            "SELECT input, result FROM judgment_executions WHERE created_at >= %s AND created_at < %s"
            " AND rule_version <> %s AND synthetic_tag IS NULL ORDER BY created_at LIMIT %s",
            (since, until, rules.version, most),
        )

    async def ruleset(self, version: str) -> Ruleset | None:
        """One rule version, active or not."""
        rows = await self.rows("SELECT body FROM rule_versions WHERE version = %s", (version,))
        return Ruleset.parse(version, rows[0]["body"]) if rows else None

    async def migration(self) -> str:
        """The revision the database is at."""
        return str((await self.rows("SELECT version_num FROM alembic_version"))[0]["version_num"])

    async def add_judgment(self, execution_id: UUID, reading: Reading, fields: dict[str, Any]) -> None:
        """Store one judgment; `fields` are the other columns."""
        await self.execute(
            "INSERT INTO judgment_executions (id, line_code, input, result, source, confidence, rule_version,"
            " prompt_version, app_version, track, latency_ms, synthetic_tag)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                execution_id, reading.line_code, Jsonb(reading.to_dict()), fields["result"], fields["source"],
                fields["confidence"], fields["rule_version"], fields["prompt_version"], fields["app_version"],
                fields["track"], fields["latency_ms"], fields["synthetic_tag"],
            ),
        )  # fmt: skip

    async def judgment(self, execution_id: UUID) -> DictRow | None:
        """One stored judgment."""
        rows = await self.rows("SELECT * FROM judgment_executions WHERE id = %s", (execution_id,))
        return rows[0] if rows else None

    async def add_llm_call(self, fields: dict[str, Any]) -> None:
        """Store one call of the LLM."""
        await self.execute(
            "INSERT INTO llm_calls (model, prompt_tokens, completion_tokens, cost_usd, outcome, latency_ms,"
            " synthetic_tag) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                fields["model"], fields["prompt_tokens"], fields["completion_tokens"], fields["cost_usd"],
                fields["outcome"], fields["latency_ms"], fields["synthetic_tag"],
            ),
        )  # fmt: skip

    async def add_intent(self, user: str, utterance: str, intent: str, confidence: float, tag: str | None) -> int:
        """Store what a chat utterance was taken for; the id of the log."""
        rows = await self.rows(
            "INSERT INTO intent_logs (user_id, utterance, intent, confidence, synthetic_tag)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING id",
            (user, utterance, intent, confidence, tag),
        )
        return int(rows[0]["id"])

    async def add_feedback(self, log_id: int, feedback: int) -> bool:
        """Store a thumb up (1) or down (-1); False if there is no such log."""
        query: LiteralString = "UPDATE intent_logs SET feedback = %s WHERE id = %s"
        return await self.execute(query, (feedback, log_id)) == 1
