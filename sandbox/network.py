"""Ports of this machine: free, listening, and HTTP requests to them."""

from __future__ import annotations

import json
import math
import os
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

_HOST = "127.0.0.1"
_TIMEOUT_S = 2.0
_GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it are spread over 0 to 1 as evenly as any: neighbours among them are far apart."""
OK = 200


def is_free(port: int) -> bool:
    """Whether a server could be bound to `port`."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def own_place(places: int) -> int:
    """Where among `places` this process begins to look: those that were started together begin far apart."""
    return int(os.getpid() * _GOLDEN % 1 * places)


def free_port_base(width: int) -> int:
    """A port base with `width` free ports from it on, outside the default sandbox's.

    Every process begins to look elsewhere: two that look at the same moment would find the same ports free. Processes
    that were started one after the other begin far apart: the second port of the one were else the first of the other.
    """
    bases = range(19400, 29400, width)
    first = own_place(len(bases))
    in_turn: list[int] = [*bases[first:], *bases[:first]]
    return next(base for base in in_turn if all(map(is_free, range(base, base + width))))


def listens(port: int) -> bool:
    """Whether something takes connections on `port`."""
    try:
        socket.create_connection((_HOST, port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def get(port: int, path: str, tls: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    """Status and body of an HTTP request, over TLS with a context; status 0 if nothing answers within two seconds."""
    with closing(_connection(_HOST, port, tls)) as connection:
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, HTTPException):
            return 0, b""


def post(host: str, port: int, path: str, content: object, tls: ssl.SSLContext | None = None) -> int:
    """Status of a POST of `content` as JSON; 0 if nothing answers within two seconds."""
    with closing(_connection(host, port, tls)) as connection:
        try:
            connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0


def delete(port: int, path: str) -> int:
    """Status of a DELETE; 0 if nothing answers within two seconds."""
    with closing(_connection(_HOST, port, None)) as connection:
        try:
            connection.request("DELETE", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0


def is_ok(port: int, path: str, tls: ssl.SSLContext | None = None) -> bool:
    """Whether `path` answers with status 200."""
    return get(port, path, tls)[0] == OK


def get_json(port: int, path: str) -> Any:  # noqa: ANN401 - whatever the service says
    """Return the JSON body of a 200 answer; None for any other answer, or none."""
    status, body = get(port, path)
    return json.loads(body) if status == OK else None


def _connection(host: str, port: int, tls: ssl.SSLContext | None) -> HTTPConnection:
    if tls is None:
        return HTTPConnection(host, port, timeout=_TIMEOUT_S)
    return HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=tls)
