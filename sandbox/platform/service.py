"""HTTP API of the judgment service, and its background tasks."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.platform.cache import Cache
from sandbox.platform.decision import Judge
from sandbox.platform.faults import Faults
from sandbox.platform.llm_client import LLM
from sandbox.platform.metrics import Metrics
from sandbox.platform.notify import Notifier
from sandbox.platform.routes import Api
from sandbox.platform.store import Store, StoreUnavailableError
from sandbox.platform.tools import Tools
from sandbox.platform.workflow import Workflows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.home import Settings

_TEND_SECONDS = 1.0
_CONNECT_SECONDS = 3.0
_READY_SECONDS = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one process of the judgment service, wired together."""

    settings: Settings
    faults: Faults
    metrics: Metrics
    store: Store
    cache: Cache
    llm: LLM
    notifier: Notifier
    tools: Tools
    judge: Judge
    workflows: Workflows

    @classmethod
    def build(cls, settings: Settings, track: str, *, leads: bool) -> Service:
        """Wire the parts for `track`, which has one process that `leads`; contacts nothing yet."""
        version = settings.versions[track]
        faults = Faults(settings.home, track)
        metrics = Metrics(track, version)
        store = Store(settings.conninfo("judgment_app"))
        cache = Cache(settings.ports["redis"], settings.secret("redis"))
        llm = LLM(settings.url("llm"), track, metrics, store, faults)
        notifier = Notifier(settings.url("inbox"), track, metrics)
        tools = Tools(settings.url("mcp") + "/mcp", settings.url("mcp_alternate") + "/mcp", track, metrics)
        judge = Judge(track, version, store, cache, llm, notifier, metrics, faults)
        workflows = Workflows(judge, tools, store, metrics, faults, leads=leads)
        return cls(settings, faults, metrics, store, cache, llm, notifier, tools, judge, workflows)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything open, and the background tasks at work."""
        await self.store.open()
        tasks = [asyncio.create_task(job) for job in (self.tools.run(), self.workflows.run(), self._tend())]
        try:
            # Ready means tried: the first users shall not pay for connections that are still being made.
            with suppress(TimeoutError):
                async with asyncio.timeout(_READY_SECONDS):
                    await asyncio.gather(self.store.wait(_CONNECT_SECONDS), self.tools.tried.wait())
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(self.llm.close(), self.notifier.close(), self.cache.close(), self.store.close())

    async def _tend(self) -> None:
        away = False
        while True:
            self.tools.use(alternate=self.faults.remedied("mcp_alternate"))
            self.tools.breaker.held = self.faults.on("breaker_stuck")
            try:
                await self.judge.refresh()
                self.metrics.running(self.judge.reported_version, await self.store.migration())
                await self.workflows.tend()
                away = False
            except StoreUnavailableError as error:
                if not away:
                    _log.warning("housekeeping waits for PostgreSQL: %s", error)
                away = True
            await asyncio.sleep(_TEND_SECONDS)

    def app(self) -> Starlette:
        """The ASGI application."""
        api = Api(self)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with self.running():
                yield

        return Starlette(
            lifespan=lifespan,
            routes=[
                Route("/health", api.health),
                Route("/metrics", api.metrics),
                Route("/v1/judgments", api.judge, methods=["POST"]),
                Route("/v1/judgments/{id:uuid}", api.judgment),
                Route("/v1/workflows", api.start_workflow, methods=["POST"]),
                Route("/v1/workflows/{id:uuid}", api.workflow),
                Route("/v1/bi/production", api.production),
                Route("/v1/chat", api.chat, methods=["POST"]),
                Route("/v1/chat/{id:int}/feedback", api.feedback, methods=["POST"]),
                Route("/v1/tools/{tool}", api.call_tool, methods=["POST"]),
                Route("/v1/breakers", api.breakers),
                Route("/v1/versions", api.versions),
                Route("/v1/operations", api.operations),
                Route("/v1/rules/replay", api.replay, methods=["POST"]),
                Route("/admin/cache/clear", api.clear_cache, methods=["POST"]),
            ],
        )
