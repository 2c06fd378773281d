"""Text of evidence: tables of rows, capped bodies, errors in one line."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ROWS: Final = 500
MOST_TEXT: Final = 64 * 1024
"""Characters of one body that are kept."""
_WIDEST: Final = 200
_SENSITIVE = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """`rows` under `columns`, aligned; at most `MOST_ROWS` rows, with a note on the rest."""
    shown = [[_cell(value) for value in row] for row in rows[:MOST_ROWS]]
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, ["-" * width for width in widths], *shown)
    ]
    rest = f", the first {MOST_ROWS} shown" if len(rows) > MOST_ROWS else ""
    return "\n".join([*lines, f"({len(rows):,} row{'' if len(rows) == 1 else 's'}{rest})"])


def capped(body: str) -> str:
    """`body`, cut after `MOST_TEXT` characters with a note."""
    if len(body) <= MOST_TEXT:
        return body
    return f"{body[:MOST_TEXT]}\n... cut: {len(body):,} characters, the first {MOST_TEXT:,} kept"


def masked(headers: Mapping[str, str]) -> str:
    """Headers one to a line, values of those that carry credentials left out."""
    return "\n".join([f"{name}: {'***' if _is_sensitive(name) else value}" for name, value in headers.items()])


def one_line(error: BaseException | str) -> str:
    """The message of an error as one line of readable length."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= _WIDEST * 2 else f"{line[: _WIDEST * 2]}..."


def root_cause(error: BaseException) -> BaseException:
    """The first error of the chain that ended in `error`: `Connection refused`, not a pool's retries."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


def is_refused_certificate(error: str) -> bool:
    """Whether this end does not accept a server's certificate: the server is up, and its name and port are right."""
    return "CERTIFICATE_VERIFY_FAILED" in error


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine, where a proxy from the environment must not be used."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether `host` is this machine: `localhost` or a loopback address; `127.example.com` is none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=256)  # the same few names in every exchange
def _is_sensitive(name: str) -> bool:
    return _SENSITIVE.search(name) is not None


def _cell(value: object) -> str:
    text = "NULL" if value is None else " ".join(str(value).split())
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
