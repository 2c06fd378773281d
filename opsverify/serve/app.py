"""App: the operations over HTTP. Every answer that is no success is a problem (RFC 9457), and none holds a secret."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from opsverify.errors import EvidenceError
from opsverify.language.message import say
from opsverify.serve.declined import Declined
from opsverify.serve.live_routes import live_pages
from opsverify.serve.oidc import looks_like_jwt
from opsverify.serve.openapi import PATH, document
from opsverify.serve.operations import OPERATIONS, Call, Operation
from opsverify.serve.responses import problem, read_body, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from opsverify.serve.caller import Caller
    from opsverify.serve.gate import PipelineGate

LOG: Final = logging.getLogger("opsverify.serve")
JOBS_AT_ONCE: Final = 4
"""Jobs whose tokens are verified at once: while an issuer does not answer, they wait, and no other request does."""
_BEARER: Final = "bearer "


def app_of(gate: PipelineGate) -> Starlette:
    """The application of `gate`."""
    limiter = CapacityLimiter(JOBS_AT_ONCE)
    routes: list[BaseRoute] = [_route(path, gate, limiter) for path in dict.fromkeys(each.path for each in OPERATIONS)]
    content = json.dumps(document()).encode()

    async def openapi(_request: Request) -> Response:
        return Response(content, media_type="application/json")

    routes.append(Route(PATH, openapi, methods=["GET"]))
    routes.append(live_pages(gate))
    app = Starlette(
        routes=routes,
        exception_handlers={Declined: _declined, EvidenceError: _no_evidence, HTTPException: _http, Exception: _failed},
    )
    app.router.redirect_slashes = False  # a redirect would name Flagger's address, which holds a token
    return app


def _route(path: str, gate: PipelineGate, limiter: CapacityLimiter) -> Route:
    """The route of all operations at `path`: one, so that a method that none has is answered with those there are."""
    endpoints = {each.method: _endpoint(gate, each, limiter) for each in OPERATIONS if each.path == path}

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, endpoint, methods=list(endpoints))


def _endpoint(
    gate: PipelineGate, operation: Operation, limiter: CapacityLimiter
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        caller = await _authorized(gate, operation, request, limiter)
        body = await read_body(request, operation.body) if operation.body else None
        call = Call(gate, request.path_params, request.query_params, request.headers, body, caller)
        reply = await run_in_threadpool(operation.handle, call)
        LOG.info("%s %s by %s", operation.name, reply.status, caller.name if caller else "anyone")
        return response_of(reply)

    return endpoint


async def _authorized(
    gate: PipelineGate, operation: Operation, request: Request, limiter: CapacityLimiter
) -> Caller | None:
    """Who asks. Raises Declined where the operation needs a token and there is none that may.

    A job's token is taken from the header only: of an address, parts are kept by proxies.
    """
    if operation.may is None:
        return None
    given = request.headers.get("authorization", "")
    plain = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else None
    caller = gate.tokens.find(request.path_params.get("token", plain), gate.clock())
    rules = gate.tokens.rules()
    if caller is None and rules and plain and "token" not in request.path_params and looks_like_jwt(plain):
        caller = await to_thread.run_sync(gate.jobs.caller, plain, rules, limiter=limiter)
    if caller is None:
        raise Declined(401, say("no valid token: unknown, expired, or none was given"), {"WWW-Authenticate": "Bearer"})
    if operation.may not in caller.may:
        raise Declined(403, say("token {name}: may not {may}", name=caller.name, may=operation.may))
    return caller


def _declined(_request: Request, error: Exception) -> Response:
    status, headers = getattr(error, "status", 500), getattr(error, "headers", None)
    return problem(status, "Declined", str(error), headers)


def _no_evidence(_request: Request, error: Exception) -> Response:
    return problem(409, "Evidence is not whole", str(error))


def _http(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return problem(status, "Declined", say("no such address, or not with this method"), getattr(error, "headers", None))


def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "Internal error", say("internal error; see the server's log. Nothing was decided by it"))
