"""A small real MCP server for the tests of the MCP probe."""

from __future__ import annotations

import asyncio
import threading

from mcp.server.mcpserver import MCPServer

server = MCPServer("sensors", version="1.2.3")
released = threading.Event()
"""Set when the tool that hangs may return."""


@server.tool()
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@server.tool()
def fail() -> str:
    """Fail always."""
    raise ValueError("sensor offline")


@server.tool()
async def hang() -> str:
    """Answer too late."""
    await asyncio.to_thread(released.wait)
    return "late"
