"""Session of a person's browser: a signed cookie in place of a token, for the live pages and nothing else.

It names the token that it was given for. Once that token is taken out of the file, or has expired, so has the session.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import jwt

from opsverify.language.message import say
from opsverify.probes.text import is_loopback_host
from opsverify.serve.declined import Declined

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from opsverify.serve.caller import Caller
    from opsverify.serve.tokens import Tokens

LIVE: Final = "/live"
"""Where the pages are, and the only place that the cookie is sent to."""
COOKIE: Final = "opsverify_session"
LASTS: Final = dt.timedelta(hours=1)
"""A session without a page that looks ends after this."""
LONGEST: Final = dt.timedelta(hours=12)
"""A session ends this long after the token was given, whatever looks."""
_ALGORITHM: Final = "HS256"


class LiveSessions:
    """Sessions of one server: its key is in memory, so that a new server knows none of them."""

    def __init__(self, tokens: Tokens, clock: Callable[[], dt.datetime]) -> None:
        self._tokens, self._clock = tokens, clock
        self._key = secrets.token_bytes(32)

    def begin(self, token: str, request: Request, response: Response) -> Caller:
        """Begin a session for a token that may read. Raises Declined for another one."""
        caller = self._tokens.find(token, self._clock())
        if caller is None:
            raise Declined(401, say("no valid token: unknown or expired"), {"WWW-Authenticate": "Bearer"})
        if "read" not in caller.may:
            raise Declined(403, say("token {name}: may not {may}", name=caller.name, may="read"))
        self._give(
            caller.name, self._mark(hashlib.sha256(token.encode()).hexdigest()), self._clock(), request, response
        )
        return caller

    def caller(self, request: Request) -> Caller:
        """Who looks. Raises Declined without a session that counts."""
        found = self._read(request)
        if found is None:
            raise Declined(401, say("no session, or it has ended: give the token"), {"WWW-Authenticate": "Bearer"})
        return found[0]

    def renew(self, request: Request, response: Response) -> None:
        """Let a session that is half over last on: its page looks."""
        found = self._read(request)
        if found is not None:
            _, claims = found
            if claims["exp"] - self._clock().timestamp() < LASTS.total_seconds() / 2:
                begun = dt.datetime.fromtimestamp(claims["begun"], dt.UTC)
                self._give(claims["sub"], claims["mark"], begun, request, response)

    @staticmethod
    def end(response: Response) -> None:
        """Let the browser forget its session."""
        response.set_cookie(COOKIE, "", max_age=0, path=LIVE, httponly=True, samesite="strict")

    def _give(self, name: str, mark: str, begun: dt.datetime, request: Request, response: Response) -> None:
        ends = min(self._clock() + LASTS, begun + LONGEST)
        claims = {"sub": name, "mark": mark, "begun": int(begun.timestamp()), "exp": int(ends.timestamp())}
        response.set_cookie(
            COOKIE,
            jwt.encode(claims, self._key, _ALGORITHM),
            max_age=max(0, int((ends - self._clock()).total_seconds())),
            path=LIVE,
            secure=not _is_local(request),
            httponly=True,
            samesite="strict",
        )

    def _read(self, request: Request) -> tuple[Caller, dict[str, Any]] | None:
        try:
            claims = jwt.decode(
                request.cookies.get(COOKIE, ""), self._key, [_ALGORITHM],
                options={"verify_exp": False, "require": ["sub", "exp"]},
            )  # fmt: skip
        except jwt.InvalidTokenError:
            return None
        now = self._clock()
        if now.timestamp() >= claims["exp"]:
            return None
        token = self._tokens.named(claims["sub"], now)
        if token is None or not hmac.compare_digest(self._mark(token.sha256), claims["mark"]):
            return None
        return (token.caller(), claims) if "read" in token.may else None

    def _mark(self, token_sum: str) -> str:
        """What tells a token from another one of its name."""
        return hmac.new(self._key, token_sum.encode(), hashlib.sha256).hexdigest()


def _is_local(request: Request) -> bool:
    """Whether the browser is on this machine: the one place where a session may go without TLS."""
    return request.url.scheme == "http" and is_loopback_host(request.url.hostname or "")
