"""Libpq connections: whatever a caller does not give has libpq's own default, never the environment's value."""

from __future__ import annotations

import os
import re
import select
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import pq

from opsverify.probes.environment import plain_process

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

NO_FILE: Final = "/dev/null/none"
"""A password file that cannot exist: a password that the target does not name is not used."""

_AS_TEXT: Final = {"client_encoding": "UTF8"}
"""A database in SQL_ASCII would send bytes otherwise, also for the names of its tables."""
_WAITS_FOR: Final = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
_SQLSTATE: Final = re.compile(rb'ErrorResponse.* C "([0-9A-Z]{5})"')


class RefusedConnection(psycopg.OperationalError):
    """A refused connection whose SQLSTATE was asked for."""

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def pinned() -> dict[str, str]:
    """Every parameter of libpq that has a default of its own, at that default."""
    defaults = {
        option.keyword.decode(): option.compiled.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar and option.compiled
    }
    return defaults | {"passfile": NO_FILE}


def open_connection(conninfo: str = "", **given: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - libpq's parameters
    """Open a connection with `given` (over `conninfo`); raises psycopg.Error.

    Parameters without a default of their own (`hostaddr`, `service`) cannot be pinned by a value: libpq would take
    the empty one for a value. The variables that hold them are out of sight while the connection is made.
    """
    known = psycopg.conninfo.conninfo_to_dict(conninfo)
    with plain_process():
        return psycopg.connect(**{**pinned(), **_AS_TEXT, **known, **given})


def sqlstate_of_refusal(timeout_s: float, **given: Any) -> str | None:  # noqa: ANN401 - as above
    """The SQLSTATE with which the server refuses a connection; None where it does not, or in no such time.

    Of a refused connection libpq gives a text only, in the server's language. It connects once more for this, with
    libpq's trace of the protocol (PQtrace, where the system has it), which shows every field of the answer.
    """
    if not hasattr(os, "memfd_create"):
        return None
    conninfo = psycopg.conninfo.make_conninfo(**{**pinned(), **_AS_TEXT, **given}).encode()
    with plain_process(), os.fdopen(os.memfd_create("libpq"), "rb") as trace:  # a password may be in it: not on a disk
        attempt = pq.PGconn.connect_start(conninfo)
        try:
            attempt.trace(trace.fileno())
            _await(attempt, time.monotonic() + timeout_s)
            attempt.untrace()
        finally:
            attempt.finish()
        trace.seek(0)
        found = _SQLSTATE.findall(trace.read())
    return found[-1].decode() if found else None


def _await(attempt: PGconn, end: float) -> None:
    """Let it go on until it has come to an end, at most until `end` (time.monotonic)."""
    while (waits_for := _WAITS_FOR.get(pq.PollingStatus(attempt.connect_poll()))) is not None:
        poll = select.poll()
        poll.register(attempt.socket, waits_for)
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return
