"""Offline form of Allure's page: no external load, proven before the page is written."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from opsverify.errors import EvidenceError
from opsverify.language.message import say

POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' data: blob:; style-src 'unsafe-inline' data:; "
    "img-src data: blob:; media-src data: blob:; font-src data:; connect-src data: blob:; "
    "frame-src data: blob:; worker-src blob:; form-action 'none'"
)
"""Sources a browser may load while the page is open: only data in the page itself."""

_SCRIPT: Final = re.compile(r"<script\b([^>]*)>(.*?)</script>\s*", re.DOTALL)
_EXTERNAL: Final = re.compile(r"\s*(?:https?:|wss?:|ftp:)?//", re.IGNORECASE)
_LOADING: Final = frozenset({"src", "srcset", "data", "poster", "background", "action", "formaction", "ping"})
_BEACON: Final = ("googletagmanager", "google-analytics", "gtag(")


def make_offline(html: str) -> str:
    """Return the page without its beacon and with a policy that blocks every external load.

    Raises EvidenceError when an external load is left: a newer Allure cannot add one unnoticed.
    """
    page = _SCRIPT.sub(_keep_unless_beacon, html)
    policy = f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page, heads = re.subn("<head>", policy, page, count=1)
    if not heads:
        raise EvidenceError(say("report.html: page of Allure without <head>; use the Allure version of the lock file"))
    if loads := external_loads(page):
        raise EvidenceError(
            say("report.html: not written; external load in Allure's page: {load}", load=loads[0][:200])
        )
    return page


def external_loads(html: str) -> tuple[str, ...]:
    """Every external address that the markup makes a browser load, and every trace of the beacon."""
    finder = _Loads()
    finder.feed(html)
    finder.close()
    return (*finder.found, *(name for name in _BEACON if name in html))


def _keep_unless_beacon(script: re.Match[str]) -> str:
    attributes, body = script[1], script[2]
    source = re.search(r"""\bsrc=["']?([^"'\s>]*)""", attributes[:2048])
    beacon = (source and _EXTERNAL.match(source[1])) or any(name in body for name in _BEACON)
    return "" if beacon else script[0]


class _Loads(HTMLParser):
    """Addresses that are loaded without a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses in one element's attributes."""
        for name, value in attrs:
            loads = name in _LOADING or (name in {"href", "xlink:href"} and tag != "a")
            if loads and value and _EXTERNAL.match(value[:64]):
                self.found.append(value)
