"""Responses of the server, and bodies of its requests: every answer that is no success is a problem (RFC 9457)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import FileResponse, Response

from opsverify.language.message import Message, say
from opsverify.language.plain import plain_line
from opsverify.serve.bodies import ProblemBody
from opsverify.serve.declined import Declined
from opsverify.serve.openapi import PROBLEM
from opsverify.serve.operations import encoded

if TYPE_CHECKING:
    import os

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from opsverify.serve.operations import ApiReply

LARGEST: Final = 64 << 10
"""Bytes of a request's body."""
_LONGEST_SHOWN: Final = 100


async def read_body(request: Request, kind: type) -> Any:  # noqa: ANN401 - of that kind
    """The body of a request. Raises Declined where it is another one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Declined(415, say("Content-Type: expected application/json"))
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LARGEST:
            raise Declined(413, say("body: larger than {largest} bytes", largest=LARGEST))
    try:
        body: Any = msgspec.json.decode(content, type=kind)
        json.loads(content.decode(), object_pairs_hook=_require_once, parse_int=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Declined(400, say("body: {error}", error=error)) from error
    return body


def _require_once(pairs: list[tuple[str, object]]) -> None:
    """Raise Declined for a name that stands twice in one object: readers differ in which of both they take."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise Declined(400, say("{name}: given more than once", name=f"body: {plain_line(name)[:_LONGEST_SHOWN]}"))
        seen.add(name)


class _WholeFile(FileResponse):
    """A file that is sent as a whole and removed after that, however the answer ends.

    A part of it could not be asked for a second time: every answer is another file.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [each for each in scope["headers"] if each[0] not in (b"range", b"if-range")]
        try:
            await super().__call__({**scope, "headers": headers}, receive, send)
        finally:
            _remove(self.path)


def _remove(path: str | os.PathLike[str]) -> None:
    Path(path).unlink(missing_ok=True)


def response_of(reply: ApiReply) -> Response:
    """The response that carries an operation's answer."""
    headers = {"Cache-Control": "no-store", **reply.headers}
    if reply.file is not None:
        return _WholeFile(reply.file, reply.status, {**headers, "Accept-Ranges": "none"}, media_type=reply.media_type)
    return Response(encoded(reply.body), reply.status, headers, media_type=reply.media_type)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem."""
    text = detail if isinstance(detail, Message) else Message.of(detail, detail)
    body = msgspec.json.encode(ProblemBody(title, status, text.en, text.ko))
    return Response(body, status, headers, media_type=PROBLEM)
