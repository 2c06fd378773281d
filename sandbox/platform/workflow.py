"""Workflows: instances with states, three attempts each, and a dead-letter queue."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from sandbox.platform.faults import Share
from sandbox.platform.rules import InvalidInputError, Reading
from sandbox.platform.store import StoreUnavailableError
from sandbox.platform.tools import ToolError

if TYPE_CHECKING:
    from sandbox.platform.decision import Judge
    from sandbox.platform.faults import Faults
    from sandbox.platform.metrics import Metrics
    from sandbox.platform.store import Store
    from sandbox.platform.tools import Tools

DEFINITIONS = ("quality_check",)
MAX_ATTEMPTS = 3
WORKERS = 4
_BACKOFF_SECONDS = 0.05
_FAILURE_SHARE = 0.5
_REDRIVEN_AT_ONCE = 50
_INTERRUPTED_AFTER_S = 5
"""What was begun longer ago and has not ended is taken for interrupted."""
_OLD_LETTER = uuid.UUID("00000000-0000-4000-8000-000000000001")
_log = logging.getLogger(__name__)


class StepError(Exception):
    """A step of a workflow failed; the attempt may be repeated."""


class Workflows:
    """The queue of one process and the workers on it; `run` and `tend` must be kept running.

    The process that `leads` does the housekeeping of its track: of several pods, one does.
    """

    def __init__(
        self, judge: Judge, tools: Tools, store: Store, metrics: Metrics, faults: Faults, *, leads: bool
    ) -> None:
        self._leads = leads
        self._judge = judge
        self._tools = tools
        self._store = store
        self._metrics = metrics
        self._faults = faults
        self._queue: asyncio.Queue[uuid.UUID] = asyncio.Queue()
        self._known: set[uuid.UUID] = set()
        self._failures = Share()
        self._has_old_letter: bool | None = None

    async def create(self, definition: object, payload: object, tag: str | None) -> uuid.UUID:
        """Store a new instance and queue it; raises InvalidInputError and StoreUnavailableError."""
        if definition not in DEFINITIONS:
            raise InvalidInputError(f"definition is {definition!r}, expected one of {', '.join(DEFINITIONS)}")
        reading = Reading.parse(payload)
        instance_id = uuid.uuid4()
        # Known before it is stored, so that `tend` does not take it for an interrupted one.
        self._known.add(instance_id)
        try:
            await self._store.execute(
                "INSERT INTO workflow_instances"
                " (id, definition, dsl_version, status, payload, track, synthetic_tag)"
                " SELECT %s, %s, version, 'PENDING', %s, %s, %s FROM dsl_versions WHERE active",
                (instance_id, definition, Jsonb(reading.to_dict()), self._judge.track, tag),
            )
        except StoreUnavailableError:
            self._known.discard(instance_id)
            raise
        self._queue.put_nowait(instance_id)
        return instance_id

    async def get(self, instance_id: uuid.UUID) -> dict[str, Any] | None:
        """One instance as the API shows it."""
        rows = await self._store.rows(
            "SELECT id AS instance_id, definition, dsl_version, status, started_at, finished_at, attempts,"
            " error FROM workflow_instances WHERE id = %s",
            (instance_id,),
        )
        return rows[0] if rows else None

    async def run(self) -> None:
        """Work on the queue until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            instance_id = await self._queue.get()
            try:
                await self._finish(instance_id)
            except StoreUnavailableError:
                _log.warning("workflow %s waits for PostgreSQL", instance_id)
            finally:
                self._known.discard(instance_id)

    async def _finish(self, instance_id: uuid.UUID) -> None:
        rows = await self._store.rows("SELECT payload FROM workflow_instances WHERE id = %s", (instance_id,))
        if not rows:
            return
        doomed = self._faults.on("workflow_failures") and self._failures.pick(_FAILURE_SHARE)
        error = ""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            begun = await self._store.execute(
                "UPDATE workflow_instances SET status = 'RUNNING', attempts = %s"
                " WHERE id = %s AND status <> 'COMPLETED'",
                (attempt, instance_id),
            )
            if not begun or self._faults.on("workflow_stuck"):
                return
            try:
                await self._attempt(Reading.parse(rows[0]["payload"]), doomed=doomed)
            except (StepError, ToolError) as failure:
                error = str(failure)
                await asyncio.sleep(_BACKOFF_SECONDS * attempt)
                continue
            await self._complete(instance_id)
            return
        await self._bury(instance_id, error)

    async def _attempt(self, reading: Reading, *, doomed: bool) -> None:
        rules = await self._judge.rules()
        rules.decide(reading)
        await self._tools.call("equipment_status", {"line_code": reading.line_code})
        if doomed:
            raise StepError("step finish: the line controller rejected the command")

    async def _complete(self, instance_id: uuid.UUID) -> None:
        ended = await self._store.execute(
            "UPDATE workflow_instances SET status = 'COMPLETED', finished_at = now(), error = NULL"
            " WHERE id = %s AND status = 'RUNNING'",
            (instance_id,),
        )
        if ended:  # by this process: one that was taken for interrupted meanwhile is counted where it ended
            self._metrics.workflow_finished(completed=True)

    async def _bury(self, instance_id: uuid.UUID, error: str) -> None:
        ended = await self._store.execute(
            "WITH dead AS (UPDATE workflow_instances SET status = 'DEAD', finished_at = now(), error = %s"
            " WHERE id = %s AND status = 'RUNNING' RETURNING id, synthetic_tag)"
            " INSERT INTO workflow_dead_letters (instance_id, reason, synthetic_tag)"
            " SELECT id, %s, synthetic_tag FROM dead",
            (error, instance_id, error),
        )
        if ended:
            self._metrics.workflow_finished(completed=False)

    async def tend(self) -> None:
        """One round of housekeeping: try the tools again; of the track, resume what was interrupted and redrive."""
        if self._tools.breaker.state == "half-open":
            # Without users the trial call would never come.
            with suppress(ToolError):
                await self._tools.call("equipment_status", {"line_code": "L01"})
        if not self._leads:
            return
        if not self._faults.on("workflow_stuck"):
            await self._take_up()
        causes = ["workflow_failures"]
        if not self._faults.remedied("mcp_alternate"):
            causes += ["mcp_timeout", "mcp_down"]
        if self._tools.breaker.state == "closed" and not any(map(self._faults.on, causes)):
            await self._redrive()
        await self._keep_old_letter()
        rows = await self._store.rows(
            "SELECT count(*) AS waiting FROM workflow_dead_letters d"
            " JOIN workflow_instances i ON i.id = d.instance_id"
            " WHERE d.resolved_at IS NULL AND i.track = %s AND (d.synthetic_tag IS NULL OR %s)",
            (self._judge.track, self._faults.on("synthetic_leak")),
        )
        self._metrics.dead_letters.set(rows[0]["waiting"])

    async def _take_up(self) -> None:
        rows = await self._store.rows(
            "SELECT id FROM workflow_instances WHERE status IN ('PENDING', 'RUNNING') AND track = %s"
            " AND started_at < now() - make_interval(secs => %s) LIMIT %s",
            (self._judge.track, _INTERRUPTED_AFTER_S, _REDRIVEN_AT_ONCE),
        )
        self._queue_again([row["id"] for row in rows])

    async def _redrive(self) -> None:
        # Letters older than an hour are left for people; synthetic ones for the tests that made them.
        rows = await self._store.rows(
            "UPDATE workflow_dead_letters SET resolved_at = now() WHERE id IN (SELECT d.id"
            " FROM workflow_dead_letters d JOIN workflow_instances i ON i.id = d.instance_id"
            " WHERE d.resolved_at IS NULL AND d.synthetic_tag IS NULL AND i.track = %s"
            " AND d.created_at > now() - interval '1 hour' LIMIT %s) RETURNING instance_id",
            (self._judge.track, _REDRIVEN_AT_ONCE),
        )
        self._queue_again([row["instance_id"] for row in rows])

    def _queue_again(self, instance_ids: list[uuid.UUID]) -> None:
        for instance_id in instance_ids:
            if instance_id not in self._known:
                self._known.add(instance_id)
                self._queue.put_nowait(instance_id)

    async def _keep_old_letter(self) -> None:
        """Have an unresolved dead letter of 3 hours ago exactly while the fault `dead_letters_old` is on."""
        wanted = self._faults.on("dead_letters_old")
        if wanted is self._has_old_letter:
            return
        instance_id = uuid.uuid5(_OLD_LETTER, self._judge.track)
        if wanted:
            await self._add_old_letter(instance_id)
        else:
            await self._store.execute("DELETE FROM workflow_dead_letters WHERE instance_id = %s", (instance_id,))
            await self._store.execute("DELETE FROM workflow_instances WHERE id = %s", (instance_id,))
        self._has_old_letter = wanted

    async def _add_old_letter(self, instance_id: uuid.UUID) -> None:
        await self._store.execute(
            "WITH old AS (INSERT INTO workflow_instances"
            " (id, definition, dsl_version, status, started_at, finished_at, attempts, error, payload, track)"
            " SELECT %s, 'quality_check', version, 'DEAD', now() - interval '3 hours',"
            " now() - interval '3 hours', 3, 'never handled', '{}', %s FROM dsl_versions WHERE active"
            " ON CONFLICT DO NOTHING RETURNING id)"
            " INSERT INTO workflow_dead_letters (instance_id, reason, created_at)"
            " SELECT id, 'never handled', now() - interval '3 hours' FROM old",
            (instance_id, self._judge.track),
        )
