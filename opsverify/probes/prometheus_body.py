"""Body of an answer of Prometheus: read up to a bound and a deadline."""

from __future__ import annotations

import time
from typing import Final

import requests

from opsverify.language.message import say

_MOST_BODY: Final = 64 << 20
"""Bytes of an answer: raw samples of a long window are some megabytes."""


def read_bounded(response: requests.Response, timeout_s: float) -> None:
    """Read the body now, as far as `_MOST_BODY`; raises requests.RequestException for a longer or a slower one."""
    deadline = time.monotonic() + timeout_s
    body = bytearray()
    for chunk in response.iter_content(1 << 16):
        body += chunk
        if len(body) > _MOST_BODY:
            response.close()
            raise requests.RequestException(
                say("the answer is longer than {most_body:,} bytes; select fewer series", most_body=_MOST_BODY)
            )
        if time.monotonic() > deadline:
            response.close()
            raise requests.Timeout
    # Where requests itself keeps what it has read; a copy of it as bytes would be as long again.
    response._content = body  # type: ignore[assignment]  # noqa: SLF001 - as above
    response._content_consumed = True  # noqa: SLF001 - as above
