"""Service under the HTTP benchmark: it answers any health path at once, and counts the requests.

    python benchmarks/http_server.py

Prints its port, then serves until it is terminated. `GET /count` answers the number of health requests since
the last `GET /count`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

VERSION = "1.4.0"


def application() -> Starlette:
    """Build the service."""
    received = 0

    async def health(_request: Request) -> JSONResponse:
        nonlocal received
        received += 1
        return JSONResponse({"status": "ok", "version": VERSION, "parts": {"postgres": "ok", "redis": "ok"}})

    async def count(_request: Request) -> JSONResponse:
        nonlocal received
        counted, received = received, 0
        return JSONResponse({"count": counted})

    return Starlette(routes=[Route("/health/{number:int}", health), Route("/count", count)])


def main() -> None:
    """Serve on a free port of the loopback interface."""
    # asyncio sets TCP_NODELAY only where the protocol is named; else answers wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning", access_log=False))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
