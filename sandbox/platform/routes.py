"""Handlers of the HTTP paths of the judgment service."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import RedisError
from starlette.responses import JSONResponse, Response

from sandbox.platform import bi, chat, operations
from sandbox.platform.decision import JudgmentFailedError
from sandbox.platform.faults import TAG_HEADER
from sandbox.platform.rules import InvalidInputError, Reading
from sandbox.platform.store import StoreUnavailableError
from sandbox.platform.tools import ToolError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

    from sandbox.home import Settings
    from sandbox.platform.cache import Cache
    from sandbox.platform.decision import Judge
    from sandbox.platform.faults import Faults
    from sandbox.platform.llm_client import LLM
    from sandbox.platform.metrics import Metrics
    from sandbox.platform.store import Store
    from sandbox.platform.tools import Tools
    from sandbox.platform.workflow import Workflows

_HEALTH_SECONDS = 1.0
_SLOW_HEALTH_SECONDS = 3.0


class Json(JSONResponse):
    """JSON with dates and ids as text, and decimals as numbers."""

    def render(self, content: object) -> bytes:
        """Encode `content`; Korean stays readable."""
        return json.dumps(content, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def _error(status: int, message: str) -> Json:
    return Json({"error": message}, status_code=status)


async def _body(request: Request) -> dict[str, Any]:
    try:
        content = await request.json()
    except ValueError:
        raise InvalidInputError("the body is not JSON") from None
    if not isinstance(content, dict):
        raise InvalidInputError("the body is not a JSON object")
    return content


async def _answer(work: Awaitable[Response]) -> Response:
    """The response of a handler; what it raises becomes 400, 500 or 503 with one line of text."""
    try:
        return await work
    except InvalidInputError as error:
        return _error(400, str(error))
    except StoreUnavailableError:
        return _error(503, "PostgreSQL failed; see /health")
    except JudgmentFailedError as error:
        return _error(500, str(error))


class ServiceParts(Protocol):
    """The parts of the service that the handlers use; `service.Service` has them."""

    @property
    def settings(self) -> Settings: ...  # noqa: D102

    @property
    def faults(self) -> Faults: ...  # noqa: D102

    @property
    def metrics(self) -> Metrics: ...  # noqa: D102

    @property
    def store(self) -> Store: ...  # noqa: D102

    @property
    def cache(self) -> Cache: ...  # noqa: D102

    @property
    def llm(self) -> LLM: ...  # noqa: D102

    @property
    def tools(self) -> Tools: ...  # noqa: D102

    @property
    def judge(self) -> Judge: ...  # noqa: D102

    @property
    def workflows(self) -> Workflows: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Api:
    """One method for each path."""

    service: ServiceParts

    async def health(self, _: Request) -> Response:
        """Every part's state; 503 only when PostgreSQL is away."""
        faults = self.service.faults
        if faults.on("health_slow"):
            await asyncio.sleep(_SLOW_HEALTH_SECONDS)
        postgres, redis, llm, mcp = await asyncio.gather(
            self._postgres_answers(),
            self.service.cache.ping(),
            self.service.llm.healthy(),
            self._mcp_listens(),
        )
        parts = {"postgres": postgres, "redis": redis, "llm": llm, "mcp": mcp}
        status = "ok" if all(parts.values()) else "degraded"
        if not postgres or faults.on("health_down"):
            status = "down"
        judge = self.service.judge
        return Json(
            {
                "status": status,
                "version": judge.reported_version,
                "track": judge.track,
                "parts": {name: "ok" if well else "down" for name, well in parts.items()},
            },
            status_code=503 if status == "down" else 200,
        )

    async def _postgres_answers(self) -> bool:
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                await self.service.store.rows("SELECT 1 AS one")
        except (StoreUnavailableError, TimeoutError):
            return False
        return True

    async def _mcp_listens(self) -> bool:
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                _, writer = await asyncio.open_connection("127.0.0.1", self.service.settings.ports["mcp"])
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def metrics(self, _: Request) -> Response:
        """The Prometheus exposition."""
        service = self.service
        service.metrics.alert_firing.set(service.faults.on("alert_firing"))
        service.metrics.breaker_open.set(service.tools.breaker.state != "closed")
        return Response(service.metrics.expose(service.faults), media_type="text/plain; version=0.0.4")

    async def judge(self, request: Request) -> Response:
        """Judge one reading; the only path that judgment_* counts."""
        started = time.perf_counter()
        response = await _answer(self._judge(request))
        self.service.metrics.judged(response.status_code, time.perf_counter() - started)
        return response

    async def _judge(self, request: Request) -> Response:
        body = await _body(request)
        mode = body.get("mode")
        if mode not in (None, "RULE_ONLY"):
            raise InvalidInputError(f"mode is {mode!r}, expected RULE_ONLY or nothing")
        reading = Reading.parse(body)
        return Json(await self.service.judge.judge(reading, rule_only=mode == "RULE_ONLY", tag=_tag(request)))

    async def judgment(self, request: Request) -> Response:
        """One stored judgment."""
        return await _answer(self._one(self.service.store.judgment(request.path_params["id"]), "judgment"))

    async def start_workflow(self, request: Request) -> Response:
        """Queue a workflow instance."""

        async def work() -> Response:
            body = await _body(request)
            instance_id = await self.service.workflows.create(
                body.get("definition"), body.get("payload"), _tag(request)
            )
            return Json({"instance_id": instance_id, "status": "PENDING"}, status_code=202)

        return await _answer(work())

    async def workflow(self, request: Request) -> Response:
        """The state of a workflow instance."""
        return await _answer(self._one(self.service.workflows.get(request.path_params["id"]), "workflow instance"))

    async def production(self, request: Request) -> Response:
        """Production figures of a period."""

        async def work() -> Response:
            period = bi.Period.parse(request.query_params)
            return Json(await bi.production(self.service.store, self.service.faults, period))

        return await _answer(work())

    async def chat(self, request: Request) -> Response:
        """The intent of an utterance."""

        async def work() -> Response:
            body = await _body(request)
            utterance, user = chat.check_utterance(body.get("utterance")), chat.check_user(body.get("user"))
            broken = self.service.faults.on("chat_wrong_intent")
            intent, confidence = chat.WRONG if broken else chat.recognise(utterance)
            log_id = await self.service.store.add_intent(user, utterance, intent, confidence, _tag(request))
            return Json({"log_id": log_id, "intent": intent, "confidence": confidence})

        return await _answer(work())

    async def feedback(self, request: Request) -> Response:
        """A thumb up or down for an intent."""

        async def work() -> Response:
            feedback = chat.check_feedback((await _body(request)).get("feedback"))
            if not await self.service.store.add_feedback(request.path_params["id"], feedback):
                return _error(404, "no such chat log")
            return Json({"log_id": request.path_params["id"], "feedback": feedback})

        return await _answer(work())

    async def call_tool(self, request: Request) -> Response:
        """Call an MCP tool."""

        async def work() -> Response:
            arguments = (await _body(request)).get("arguments", {})
            if not isinstance(arguments, dict):
                raise InvalidInputError("arguments is not a JSON object")
            started = time.perf_counter()
            try:
                result = await self.service.tools.call(request.path_params["tool"], arguments)
            except ToolError as error:
                return _error(error.status, str(error))
            return Json({"result": result, "elapsed_ms": round((time.perf_counter() - started) * 1000, 1)})

        return await _answer(work())

    async def breakers(self, _: Request) -> Response:
        """The state of every circuit breaker."""
        breaker = self.service.tools.breaker
        return Json({"mcp": {"state": breaker.state, "failures": breaker.failures}})

    async def versions(self, _: Request) -> Response:
        """The versions of rules, prompts and DSL that this process serves."""

        async def work() -> Response:
            return Json(await self.service.judge.serves())

        return await _answer(work())

    async def operations(self, _: Request) -> Response:
        """What the platform reports of its modes, and the overrides that operators have set."""
        return Json(operations.reported(self.service.faults, (await self.service.judge.rules()).version))

    async def replay(self, request: Request) -> Response:
        """How many judgments of other rule versions, from `from` until `to`, the given `version` would change."""

        async def work() -> Response:
            return Json(await operations.replay(self.service.store, await _body(request)))

        return await _answer(work())

    async def clear_cache(self, request: Request) -> Response:
        """Remove every cached judgment; for holders of the admin token."""
        expected = f"Bearer {self.service.settings.secret('admin_token')}"
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
            return _error(401, "expected the admin token as bearer token")
        if self.service.faults.on("cache_not_cleared"):
            return Json({"removed": 0})
        try:
            return Json({"removed": await self.service.cache.clear()})
        except (RedisError, OSError):
            return _error(503, "Redis did not answer; see /health")

    async def _one(self, found: Awaitable[dict[str, Any] | None], what: str) -> Response:
        row = await found
        return Json(row) if row is not None else _error(404, f"no such {what}")


def _tag(request: Request) -> str | None:
    return request.headers.get(TAG_HEADER) or None
