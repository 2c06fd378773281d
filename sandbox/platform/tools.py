"""MCP tool calls through one open session and a circuit breaker."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sandbox.platform.breaker import Breaker
from sandbox.platform.faults import TRACK_HEADER

if TYPE_CHECKING:
    from mcp.client import Client

    from sandbox.platform.metrics import Metrics

TIMEOUT_SECONDS = 1.0
_RECONNECT_SECONDS = 0.5
_SDK_TIMEOUT_SECONDS, _SDK_SILENCE_SECONDS = 30.0, 300.0
"""As the SDK's own client, which cannot be told to leave the environment's proxy alone."""
_log = logging.getLogger(__name__)


class ToolError(Exception):
    """A tool call brought no result; `status` is the HTTP status to answer with."""

    status = 502


class ToolRefusedError(ToolError):
    """The MCP server answered that the tool is unknown or the arguments are invalid."""

    status = 400


class ToolTimeoutError(ToolError):
    """The MCP server did not answer within TIMEOUT_SECONDS."""

    status = 504


class BreakerOpenError(ToolError):
    """The circuit breaker let no call through."""

    status = 503


class Tools:
    """Calls tools of the MCP server at `url`, or of its alternate node; `run` keeps the session and must be running.

    `tried` is set as soon as there is a session, or the first attempt at one has failed.
    """

    def __init__(self, url: str, alternate_url: str, track: str, metrics: Metrics) -> None:
        self._urls = (url, alternate_url)
        self._alternate = False
        self._track = track
        self._metrics = metrics
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self.tried = asyncio.Event()
        self._settled = asyncio.Event()
        """Not while the node is being changed: a call then waits for the new session."""
        self._settled.set()
        self.breaker = Breaker(changed=metrics.breaker_changed)

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._client is not None

    async def run(self) -> None:
        """Keep a session open until cancelled; a session belongs to the task that opened it."""
        # Importing the SDK takes longer than starting the rest of the service, which goes on meanwhile.
        await asyncio.to_thread(importlib.import_module, "mcp.client")
        while True:
            try:
                await self._serve_one_session()
            except Exception as error:  # noqa: BLE001  # the SDK raises groups of its transport's errors
                _log.warning("MCP session lost: %s", type(error).__name__)
            finally:
                changing = not self._settled.is_set() and self._client is not None
                self._client = None
                self.tried.set()
                if not changing:
                    self._settled.set()
            if not changing:
                await asyncio.sleep(_RECONNECT_SECONDS)

    def use(self, *, alternate: bool) -> None:
        """Open the session with the alternate node, or with the usual one; a new node begins with a closed breaker."""
        if alternate is not self._alternate:
            self._alternate = alternate
            self.breaker = Breaker(changed=self._metrics.breaker_changed)
            self._settled.clear()
            self._lost.set()

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401  # whatever the tool answers
        """The result of a tool; raises ToolError and its subclasses."""
        # A call that is under way when the node changes says nothing of the new one.
        breaker = self.breaker
        if not breaker.allow():
            raise BreakerOpenError("the circuit breaker of mcp is open")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                result = await self._call(tool, arguments)
        except TimeoutError as error:
            self._count("timeout", breaker)
            raise ToolTimeoutError(f"{tool} did not answer within {TIMEOUT_SECONDS:g} s") from error
        except ToolRefusedError:
            self._metrics.mcp_called("error")
            # The server answered: it is not the connection that needs protection.
            breaker.succeeded()
            raise
        except (ToolError, asyncio.CancelledError):
            self._count("error", breaker)
            raise
        except Exception as error:  # the SDK documents no common base of its transport's errors
            self._count("error", breaker)
            self._lost.set()
            raise ToolError(f"{tool} failed: {type(error).__name__}") from error
        self._count("ok", breaker)
        return result

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
        await self._settled.wait()
        if self._client is None:
            raise ToolError("no session with the MCP server")
        answer = await self._client.call_tool(tool, arguments)
        text = "".join(getattr(part, "text", "") for part in answer.content)
        if answer.is_error:
            raise ToolRefusedError(f"{tool} refused: {text}")
        with suppress(ValueError):
            return json.loads(text)
        return text

    async def _serve_one_session(self) -> None:
        import httpx2  # noqa: PLC0415  # see `run`
        from mcp.client import Client  # noqa: PLC0415
        from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

        self._lost.clear()
        async with (
            httpx2.AsyncClient(
                headers={TRACK_HEADER: self._track},
                timeout=httpx2.Timeout(_SDK_TIMEOUT_SECONDS, read=_SDK_SILENCE_SECONDS),
                trust_env=False,
            ) as http,
            Client(streamable_http_client(self._urls[self._alternate], http_client=http)) as client,
        ):
            self._client = client
            self.tried.set()
            self._settled.set()
            await self._lost.wait()

    def _count(self, outcome: str, breaker: Breaker) -> None:
        self._metrics.mcp_called(outcome)
        if outcome == "ok":
            breaker.succeeded()
        else:
            breaker.failed()
