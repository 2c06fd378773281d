"""Live pages, below `/live`: for people with a browser, apart from the API and from its tokens.

The page itself holds nothing of a run and needs no session; its script asks for the run, and shows the form for the
token where there is none. A link from elsewhere therefore opens with the session that there is, although no request
that another site starts carries its cookie.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from opsverify.config.load import find_target, load_target
from opsverify.errors import TargetError
from opsverify.language.message import LANGUAGES, in_language, say
from opsverify.report.template import fill
from opsverify.serve.declined import Declined
from opsverify.serve.live_run import LiveRuns
from opsverify.serve.live_session import LIVE, LiveSessions
from opsverify.serve.operations import Call, download_evidence, show_verdict
from opsverify.serve.responses import read_body, response_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from opsverify.serve.gate import PipelineGate
    from opsverify.serve.gate_run import GateRun
    from opsverify.serve.operations import ApiReply

LOG: Final = logging.getLogger("opsverify.serve")
STATE: Final = "Opsverify-Run-State"
"""The header by which the page knows an answer of this server from that of a proxy in front of it."""
_WORDS: Final = {
    "title": say("Run"),
    "login": say("A token that may read, as in the header of a request. It is neither stored nor shown."),
    "token": say("Token"),
    "enter": say("Show the run"),
    "leave": say("Forget the session"),
    "away": say("The server cannot be reached since"),
    "stale": say("What is shown is of"),
    "again": say("It is asked again."),
    "waiting": say("Asking the server ..."),
    "needs_script": say("This page needs JavaScript; without it: GET /v1/runs/ID with the token."),
}


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token that a person types in."""

    token: str


def live_pages(gate: PipelineGate) -> Mount:
    """The pages of `gate`."""
    pages = _LivePages(gate)
    return Mount(
        LIVE,
        routes=[
            Route("/login", pages.login, methods=["POST"]),
            Route("/logout", pages.logout, methods=["POST"]),
            Route("/{id}", pages.page, methods=["GET"]),
            Route("/{id}/now", pages.now, methods=["GET"]),
            Route("/{id}/verdict", pages.sealed(show_verdict), methods=["GET"]),
            Route("/{id}/evidence", pages.sealed(download_evidence), methods=["GET"]),
        ],
    )


class _LivePages:
    """The endpoints."""

    def __init__(self, gate: PipelineGate) -> None:
        self._gate = gate
        self._runs = LiveRuns(gate)
        self._sessions = LiveSessions(gate.tokens, gate.clock)
        script = hashlib.sha256(fill("live.js").encode()).digest()
        self._policy = (
            f"default-src 'none'; script-src 'sha256-{base64.b64encode(script).decode()}'; style-src 'unsafe-inline'; "
            "img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    async def page(self, request: Request) -> Response:
        """The page, without anything of a run."""
        language = _asked_language(request) or LANGUAGES[0]
        words = {name: in_language(text, language) for name, text in _WORDS.items()}
        return self._page(HTMLResponse(fill("live.html.j2", language=language, words=words)))

    async def login(self, request: Request) -> Response:
        """A session for the token in the body."""
        body: TokenBody = await read_body(request, TokenBody)  # JSON: no form of another site can send it
        response = Response(status_code=204)
        caller = self._sessions.begin(body.token, request, response)
        LOG.info("session of %s began", caller.name)
        return self._page(response)

    async def logout(self, _request: Request) -> Response:
        """No session any more."""
        response = Response(status_code=204)
        self._sessions.end(response)
        return self._page(response)

    async def now(self, request: Request) -> Response:
        """The run as it is now, to be put into the page."""
        run, html = await run_in_threadpool(self._now, request)
        response = HTMLResponse(html, headers={STATE: run.state.value})
        self._sessions.renew(request, response)
        return self._page(response)

    def _now(self, request: Request) -> tuple[GateRun, str]:
        run = self._gate.found(request.path_params["id"], self._sessions.caller(request))
        return run, self._runs.html(run, _asked_language(request) or self._language_of(run))

    def sealed(self, handle: Callable[[Call], ApiReply]) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of what the API answers as well, with a session."""

        async def endpoint(request: Request) -> Response:
            caller = self._sessions.caller(request)
            call = Call(self._gate, request.path_params, request.query_params, request.headers, None, caller)
            return self._page(response_of(await run_in_threadpool(handle, call)))

        return endpoint

    def _language_of(self, run: GateRun) -> str:
        """The language of the run's target."""
        try:
            path = find_target(run.request.target, self._gate.settings.root / "targets")
            return load_target(path, with_secrets=False)[0].language
        except TargetError:
            return LANGUAGES[0]

    def _page(self, response: Response) -> Response:
        response.headers.update(
            {
                "Cache-Control": "no-store",
                "Content-Security-Policy": self._policy,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Vary": "Cookie, Accept-Language",
            }
        )
        return response


def _asked_language(request: Request) -> str | None:
    """The language of the address, else the reader's first of ours; None where neither says. Raises Declined."""
    asked = request.query_params.getlist("language")
    if asked:
        if len(asked) > 1 or asked[0] not in LANGUAGES:
            raise Declined(400, say("language: expected {languages}", languages=", ".join(LANGUAGES)))
        return asked[0]
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(",")[:20]:
        name, _, weight = part.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > 0:
            wanted.append((quality, language))
    return max(wanted, key=lambda each: each[0])[1] if wanted else None
