"""Log of a restored server: its errors and slow statements, without the usual lines of a start in recovery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SLOW_MS: Final = 1000
"""A statement that takes as long is slow; the drill's server logs it (log_min_duration_statement)."""

_ERROR: Final = re.compile(r"(?:ERROR|FATAL|PANIC):  (.*)")
_SLOW: Final = re.compile(r"LOG:  duration: ([\d.]+) ms")
_DAMAGE: Final = re.compile(r"WARNING:  (page verification failed.*|invalid page.*|.*checksum.*)")
_USUAL: Final = re.compile(
    r"the database system is (?:starting up|not yet accepting connections|shutting down)"
    r"|terminating (?:connection|background worker|walreceiver) .*"
)
"""Connections to a server that is starting are refused; those open when it stops are terminated."""


@dataclass(frozen=True)
class LogFindings:
    """Lines of a server's log: `errors` as logged, statements slower than `SLOW_MS`."""

    errors: tuple[str, ...]
    slow: tuple[str, ...]


def scan_log(lines: Sequence[str], own: Collection[str] = ()) -> LogFindings:
    """Errors and slow statements in `lines`, each once, in their order; `own` are refusals that the drill caused."""
    errors = [match[1] for line in lines if (match := _ERROR.search(line) or _DAMAGE.search(line))]
    slow = [line.partition("LOG:  ")[2] for line in lines if _SLOW.search(line)]
    return LogFindings(
        tuple(dict.fromkeys(error for error in errors if not _USUAL.fullmatch(error) and error not in own)),
        tuple(dict.fromkeys(slow)),
    )
