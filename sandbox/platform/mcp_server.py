"""MCP server (official SDK, streamable HTTP) with the connectors of the factory."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp_types import ListToolsResult

from sandbox.platform.faults import TRACK_HEADER

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from starlette.applications import Starlette

    from sandbox.platform.faults import Faultless, Faults

_HANGING_SECONDS = 10.0
_BANDS = {"temperature": (55.0, 75.0), "pressure": (1.5, 2.6), "vibration": (0.2, 2.5)}
_STATES = ("RUNNING", "RUNNING", "RUNNING", "IDLE")


def _fraction(*parts: str) -> float:
    return hashlib.sha256("|".join(parts).encode()).digest()[0] / 255


def mcp_app(faults: Faults | Faultless) -> Starlette:
    """The server at `/mcp`; faults are scoped by the caller's track header."""

    async def faulty(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        headers = getattr(ctx.request, "headers", None) or {}
        track = headers.get(TRACK_HEADER, "")
        if ctx.method == "tools/call" and faults.on("mcp_timeout", track):
            await asyncio.sleep(_HANGING_SECONDS)
        if ctx.method == "tools/list" and faults.on("mcp_tools_missing", track):
            return ListToolsResult(tools=[])
        return await call_next(ctx)

    server = MCPServer("connectors", version="3.1.0", log_level="WARNING", middleware=[faulty])
    # Without an exporter the SDK's tracing costs time and is read by nothing.
    logging.getLogger("mcp").setLevel(logging.WARNING)

    @server.tool()
    async def read_sensor(line_code: str, sensor: str) -> dict[str, Any]:
        """Read the latest value of a sensor (temperature, pressure, vibration) of a line."""
        if sensor not in _BANDS:
            raise ValueError(f"sensor is {sensor!r}, expected one of {', '.join(_BANDS)}")
        low, high = _BANDS[sensor]
        value = round(low + (high - low) * _fraction(line_code, sensor), 2)
        return {"line_code": line_code, "sensor": sensor, "value": value}

    @server.tool()
    async def equipment_status(line_code: str) -> dict[str, Any]:
        """Tell whether the equipment of a line runs."""
        state = _STATES[int(_fraction(line_code, "state") * (len(_STATES) - 1))]
        return {"line_code": line_code, "state": state}

    return server.streamable_http_app(json_response=True, stateless_http=True)
