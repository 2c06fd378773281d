"""HTTP server of every process of the platform: no access log, loopback address, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp


def log_to_stderr() -> None:
    """One line for each event worth reading; the chatter of clients is left out."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "httpx2", "httpcore", "mcp", "uvicorn.error", "mcp.server.streamable_http_manager"):
        logging.getLogger(name).setLevel(logging.WARNING)


def serve(app: ASGIApp, port: int) -> None:
    """Serve `app` on `port` until SIGTERM or SIGINT."""
    uvicorn.Server(_config(app, port)).run()


def _config(app: ASGIApp, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        # Connections still open at shutdown get one second.
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
        backlog=256,
        ws="none",
    )


class _Unsignalled(uvicorn.Server):
    """A server that leaves the signal handlers to the process, which has more than one server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


async def serve_until(stop: asyncio.Event, app: ASGIApp, port: int) -> None:
    """Serve `app` on `port` until `stop` is set."""
    serving = _Unsignalled(_config(app, port))

    async def end() -> None:
        await stop.wait()
        serving.should_exit = True

    watch = asyncio.create_task(end())
    try:
        await serving.serve()
    finally:
        watch.cancel()
