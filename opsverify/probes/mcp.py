"""MCP probe: servers over streamable HTTP, through the official SDK, which is imported at the first request (2 s)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say
from opsverify.probes.access import ANONYMOUS, Access, verification
from opsverify.probes.base import Probe
from opsverify.probes.local_timer import Elapsed, LocalTimer
from opsverify.probes.proxy import NO_PROXY, proxy_of, shown
from opsverify.probes.record import Record, discard
from opsverify.probes.text import capped, is_refused_certificate, one_line
from opsverify.probes.way import peers_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from mcp import Client

    from opsverify.config.model import McpServer as Config
    from opsverify.errors import Peer
    from opsverify.language.message import Message

T = TypeVar("T")
_MOST_PAGES = 100
MOST_BODY: Final = 16 << 20
"""Bytes of one answer."""


@dataclass(frozen=True, slots=True)
class McpDescription:
    """Name and version of a server, its version of the protocol, its tools; seconds for connecting and listing."""

    server_name: str
    server_version: str
    protocol_version: str
    tools: tuple[str, ...]
    elapsed_s: Elapsed


@dataclass(frozen=True, slots=True)
class ToolReply:
    """Reply of a tool: `is_error` when it reports a failure, its text, its structured content."""

    is_error: bool
    text: str
    structured: Any
    elapsed_s: Elapsed


class Mcp(Probe):
    """A synchronous view of one MCP server; each request is a session of its own, all within `timeout_s`."""

    def __init__(self, config: Config, access: Access = ANONYMOUS, record: Record = discard) -> None:
        super().__init__(record)
        self._config = config
        self._access = access

    def describe(self) -> McpDescription:
        """Initialize a session and list all tools."""

        async def send(session: Client) -> tuple[str, str, str, tuple[str, ...]]:
            page = await session.list_tools()
            tools = [tool.name for tool in page.tools]
            for _ in range(_MOST_PAGES):
                if not page.next_cursor:
                    break
                page = await session.list_tools(cursor=page.next_cursor)
                tools += [tool.name for tool in page.tools]
            server = session.server_info
            return (
                server.name if server else "",
                server.version if server else "",
                session.protocol_version,
                tuple(tools),
            )

        found, elapsed = self._request("describe", send)
        description = McpDescription(*found, elapsed)
        self._record(f"MCP {self._config.url}", json.dumps(asdict(description) | self._via(), indent=2), "json")
        return description

    def call(self, tool: str, arguments: Mapping[str, Any]) -> ToolReply:
        """Call one tool; a tool's own failure is a reply (`is_error`)."""

        async def send(session: Client) -> tuple[bool, str, Any]:
            result = await session.call_tool(tool, dict(arguments))
            text = "\n".join(part.text for part in result.content if part.type == "text")
            return bool(result.is_error), text, result.structured_content

        found, elapsed = self._request(f"call {tool}", send)
        reply = ToolReply(*found, elapsed)
        kept = {"url": self._config.url, "tool": tool, "arguments": dict(arguments), **asdict(reply), **self._via()}
        kept["text"] = capped(reply.text)
        self._record(f"MCP {tool}", json.dumps(kept, indent=2, default=str, ensure_ascii=False), "json")
        return reply

    def _via(self) -> dict[str, str]:
        proxy = proxy_of(self._config.url, self._access.proxy or NO_PROXY)
        return {"proxy": shown(proxy)} if proxy else {}

    @property
    def _peers(self) -> tuple[Peer, ...]:
        return peers_of(self._config.url, proxy_of(self._config.url, self._access.proxy or NO_PROXY))

    def close(self) -> None:
        """Nothing stays open between requests."""

    def _request(  # noqa: C901 - classes of a library that is imported when it is used
        self, what: str, send: Callable[[Client], Awaitable[T]]
    ) -> tuple[T, Elapsed]:
        import httpx2  # noqa: PLC0415 - 2 s with the SDK
        from mcp import Client, MCPError  # noqa: PLC0415 - 2 s
        from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - 2 s

        verified = verification(self._config.url, self._access)
        where, limit = say("MCP server {url}", url=self._config.url), self._config.timeout_s

        class Bounded(httpx2.AsyncByteStream):
            def __init__(self, stream: httpx2.AsyncByteStream) -> None:
                self.stream = stream

            async def __aiter__(self) -> AsyncIterator[bytes]:
                read = 0
                async for chunk in self.stream:
                    read += len(chunk)
                    if read > MOST_BODY:
                        raise ValueError(f"longer than {MOST_BODY:,} bytes, the rest was not read")
                    yield chunk

            async def aclose(self) -> None:
                await self.stream.aclose()

        async def bound(response: httpx2.Response) -> None:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("encoded, which was not asked for: a short answer may unpack to a very long one")
            response.stream = Bounded(cast("httpx2.AsyncByteStream", response.stream))

        async def session() -> T:
            headers = {**self._access.headers, "Accept-Encoding": "identity"}
            proxy = proxy_of(self._config.url, self._access.proxy or NO_PROXY)
            async with (
                asyncio.timeout(limit),
                httpx2.AsyncClient(
                    headers=headers,
                    timeout=limit,
                    trust_env=False,
                    proxy=proxy,
                    follow_redirects=False,
                    verify=verified,
                    event_hooks={"response": [bound]},
                ) as http,
                Client(
                    streamable_http_client(self._config.url, http_client=http), read_timeout_seconds=limit
                ) as opened,
            ):
                return await send(opened)

        watch = LocalTimer()
        try:
            return asyncio.run(session()), watch.elapsed_s
        # The SDK wraps whatever went wrong in groups of its task groups; the first cause decides the outcome.
        except Exception as error:  # noqa: BLE001
            cause = _first_cause(error)
            failure: Inconclusive
            if isinstance(cause, TimeoutError | httpx2.TimeoutException):
                failure = Unreachable(
                    say(
                        "{where}: no answer to {what} within {limit:g} s; check its load",
                        where=where,
                        what=what,
                        limit=limit,
                    ),
                    by_clock=True,
                    peers=self._peers,
                )
            elif isinstance(cause, httpx2.TransportError | OSError):
                failure = Unreachable(
                    _no_answer(where, what, one_line(cause)),
                    peers=self._peers,
                )
            elif isinstance(cause, MCPError | httpx2.HTTPStatusError):
                failure = Inconclusive(
                    say(
                        "{where}: {what} refused ({cause}); check URL, login and tool",
                        where=where,
                        what=what,
                        cause=one_line(cause),
                    )
                )
            else:
                reason = f"{type(cause).__name__}: {one_line(cause)}"
                failure = Inconclusive(
                    say(
                        "{where}: reply to {what} could not be parsed ({reason}); check that it is an MCP server",
                        where=where,
                        what=what,
                        reason=reason,
                    )
                )
            self._record(f"MCP {what}", str(failure))
            raise failure from cause


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _no_answer(where: str, what: str, cause: str) -> Message:
    if is_refused_certificate(cause):
        return say(
            "{where}: its certificate is refused ({reason}); renew it, or set ca_file", where=where, reason=cause
        )
    return say(
        "{where}: no answer to {what} ({cause}); check that it is up, and its URL", where=where, what=what, cause=cause
    )
