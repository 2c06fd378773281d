"""Edge process: splits requests between stable and canary by weight, and makes the synthetic traffic."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.home import PODS, load_settings
from sandbox.platform.faults import Faults, Share
from sandbox.platform.serving import log_to_stderr, serve
from sandbox.platform.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

    from sandbox.home import Settings

_TIMEOUT = httpx.Timeout(30.0, connect=1.0)
_MANY = httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=30)
_HIGH_SHARE = 0.5
_JUDGMENTS = "/v1/judgments"
# Headers about one connection, which end here; httpx writes its own.
_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "upgrade", "te", "trailer"}


class Edge:
    """The reverse proxy: judgments and other requests are split separately, so that each share is exact."""

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self._faults = faults
        self._clients = {
            pod: httpx.AsyncClient(base_url=settings.url(pod), timeout=_TIMEOUT, limits=_MANY, trust_env=False)
            for pod in ("stable", *PODS)
        }
        self._turns = count()
        self._judgments = Share()
        self._others = Share()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it out
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "edge_requests", "Requests forwarded by HTTP status", ("track", "code"), registry=self.registry
        )
        self._share = Gauge("edge_canary_share", "Share meant for the canary, 0 to 1", registry=self.registry)
        for track in ("stable", "canary"):
            self._requests.labels(track, "200")
            self._requests.labels(track, "502")

    @property
    def share(self) -> float:
        """The share of the canary now, 0..1."""
        if self._faults.on("no_traffic_canary"):
            return 0.0
        return _HIGH_SHARE if self._faults.on("share_high") else self._faults.state().canary_share

    async def forward(self, request: Request) -> Response:
        """Answer with what the chosen track answers; the other one steps in when its pods refuse connections."""
        first = self._choose(request.url.path)
        body = await request.body()
        for track, pod in self._pods(first, "stable" if first == "canary" else "canary"):
            try:
                answer = await self._clients[pod].request(
                    request.method,
                    request.url.path,
                    params=request.url.query or None,
                    headers=[item for item in request.headers.items() if item[0] not in _HOP],
                    content=body,
                )
            except httpx.ConnectError:
                continue
            except httpx.HTTPError as error:
                return self._failed(track, f"{track} broke off: {type(error).__name__}")
            self._requests.labels(track, str(answer.status_code)).inc()
            headers = {key: value for key, value in answer.headers.items() if key not in _HOP}
            return Response(answer.content, answer.status_code, headers)
        return self._failed(first, "no track takes connections")

    async def metrics(self, _: Request) -> Response:
        """The edge's own series."""
        self._share.set(self.share)
        return Response(generate_latest(self.registry), media_type="text/plain; version=0.0.4")

    async def health(self, _: Request) -> Response:
        """The edge's own state; /health is the service's."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Whether every track that gets requests is well."""
        tracks = [track for track, share in (("stable", 1 - self.share), ("canary", self.share)) if share > 0]
        try:
            answers = await asyncio.gather(*(self._clients[track].get("/health") for track in tracks))
        except httpx.HTTPError as error:
            return JSONResponse({"error": f"a track does not answer: {type(error).__name__}"}, 503)
        codes = {track: answer.status_code for track, answer in zip(tracks, answers, strict=True)}
        return JSONResponse(codes, 200 if all(answer.is_success for answer in answers) else 503)

    async def close(self) -> None:
        """Give up the connections."""
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))

    def _pods(self, *tracks: str) -> Iterator[tuple[str, str]]:
        """Every pod of these tracks with its track; those of the canary take turns."""
        for track in tracks:
            pods = self._faults.state().canary_pods if track == "canary" else (track,)
            turn = next(self._turns) % len(pods)
            yield from ((track, pod) for pod in (*pods[turn:], *pods[:turn]))

    def _choose(self, path: str) -> str:
        share = self.share
        if path == "/health":
            return "canary" if share >= 1 else "stable"
        picked = (self._judgments if path == _JUDGMENTS else self._others).pick(share)
        return "canary" if picked else "stable"

    def _failed(self, track: str, message: str) -> Response:
        self._requests.labels(track, "502").inc()
        return JSONResponse({"error": message}, 502)


def edge_app(edge: Edge, faults: Faults) -> Starlette:
    """The ASGI application, with the traffic in its lifespan."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        traffic = Traffic(httpx.ASGITransport(app=app), faults, edge.registry)
        task = asyncio.create_task(traffic.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await edge.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/metrics", edge.metrics),
            Route("/healthz", edge.health),
            Route("/readyz", edge.ready),
            Route("/{path:path}", edge.forward, methods=["GET", "POST"]),
        ],
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="sandbox.platform.edge", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    log_to_stderr()
    settings = load_settings(parser.parse_args().home)
    faults = Faults(settings.home)
    serve(edge_app(Edge(settings, faults), faults), settings.ports["edge"])


if __name__ == "__main__":
    main()
