"""A small real MCP server for the tests of the MCP probe."""

from __future__ import annotations

import asyncio

from mcp.server.mcpserver import MCPServer

server = MCPServer("sensors", version="1.2.3")


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
    await asyncio.sleep(5)
    return "late"
