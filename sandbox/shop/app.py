"""Shop application: orders over HTTP in PostgreSQL, metrics for Prometheus; one process for each release."""

from __future__ import annotations

import argparse
import threading
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.home import Control, load_settings
from sandbox.platform.faults import Share
from sandbox.platform.serving import log_to_stderr, serve
from sandbox.shop.settings import APP_ROLE, conninfo

if TYPE_CHECKING:
    from starlette.requests import Request

REQUESTS = Counter("shop_http_requests", "Requests answered.", ["status"])
DURATION = Histogram("shop_http_duration_seconds", "Time to answer.", buckets=(0.05, 0.1, 0.3, 0.5, 1.0, 2.5))
_PLACE = """
    INSERT INTO app.orders (placed_at, customer, total, batch)
    SELECT now(), (SELECT id FROM app.customers ORDER BY id LIMIT 1), %s, %s RETURNING number
"""
_STATE = "SELECT state::text FROM app.orders WHERE number = %s"
_FAULTY_SHARE = 0.2
_SLOW_S = 1.2


class Shop:
    """Orders of one release; faults come from the control file."""

    def __init__(self, home: str, release: str) -> None:
        settings = load_settings(home)
        self.port = settings.ports[release]
        self._release = release
        self._control = Control(home)
        self._faulty = {name: Share() for name in ("slow", "errors")}
        self._picking = threading.Lock()
        # A connection is checked before each use: after a restart of the server some in the pool are dead.
        self._pool = ConnectionPool(
            conninfo(settings, APP_ROLE), min_size=1, max_size=4, open=True, check=ConnectionPool.check_connection
        )

    def application(self) -> Starlette:
        """The HTTP application."""
        for status in ("2xx", "5xx"):
            REQUESTS.labels(status)
        return Starlette(
            routes=[
                Route("/live", self._live),
                Route("/orders", self._order, methods=["POST"]),
                Route("/orders/{number:int}", self._state),
                Route("/metrics", self._metrics),
            ]
        )

    async def _live(self, _: Request) -> Response:
        return PlainTextResponse("OK\n", headers={"X-Release": self._release})

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def _order(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        return await run_in_threadpool(self._counted, _PLACE, (body.get("total", 1), body.get("batch")), "number")

    async def _state(self, request: Request) -> Response:
        return await run_in_threadpool(self._counted, _STATE, (request.path_params["number"],), "state")

    def _counted(self, query: str, values: tuple[object, ...], field: str) -> Response:
        began = time.perf_counter()
        try:
            answer = self._answer(query, values, field)
        except Exception:  # noqa: BLE001 - a failed request is counted and answered, whatever failed
            answer = JSONResponse({"error": "internal"}, status_code=500)
        DURATION.observe(time.perf_counter() - began)
        REQUESTS.labels(f"{answer.status_code // 100}xx").inc()
        return answer

    def _answer(self, query: str, values: tuple[object, ...], field: str) -> Response:
        state = self._control.read()
        if state.active("slow", self._release) and self._hit("slow"):
            time.sleep(_SLOW_S)
        if state.active("errors", self._release) and self._hit("errors"):
            return JSONResponse({"error": "fault"}, status_code=500)
        with self._pool.connection() as connection:
            row = connection.execute(query.encode(), values).fetchone()
        if row is None:
            return JSONResponse({"error": "no such order"}, status_code=404)
        return JSONResponse({field: row[0], "release": self._release})

    def _hit(self, fault: str) -> bool:
        """Whether this request is one of the faulty share; requests are answered in several threads."""
        with self._picking:
            return self._faulty[fault].pick(_FAULTY_SHARE)


def main() -> None:
    """Serve one release until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    parser.add_argument("--release", required=True, choices=("stable", "canary"))
    arguments = parser.parse_args()
    log_to_stderr()
    shop = Shop(arguments.home, arguments.release)
    serve(shop.application(), shop.port)


if __name__ == "__main__":
    main()
