"""Traffic of a switched name: several requests past every cache, and names on the way to an address."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import dns.message
import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes import dns as probe
from opsverify.probes.http import Http
from opsverify.probes.record import discard
from opsverify.recovery.restore.restored_server import reserved_port
from opsverify.switchback.described import require_regions
from opsverify.switchback.regions import TIMES, RegionPair
from tests.support.target_file import REGIONS, SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def ingress(*, alternates: bool = False, age: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """An ingress that answers for `icn`, for every second connection for `pus`; its port and the headers it got."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(str(self.headers.get("Cache-Control")))
            self.send_response(200)
            self.send_header("X-Region", "pus" if alternates and len(seen) % 2 == 0 else "icn")
            if age:
                self.send_header("Age", age)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


def pair_at(tmp_path: Path, port: int) -> RegionPair:
    """Regions whose clients use plain http on `port`."""
    text = REGIONS.replace("https://judgment.example.com", f"http://judgment.example.com:{port}")
    target = target_in(tmp_path, SMALLEST + text)
    nothing = None
    now = dt.datetime.now(dt.UTC)
    return RegionPair(require_regions(target), "switchback", "run-1", now, nothing, nothing, Http(), discard)  # type: ignore[arg-type]


def test_an_ingress_that_alternates_is_seen(tmp_path: Path) -> None:
    """Every request has a connection of its own, and asks past caches."""
    with ingress(alternates=True) as (port, seen):
        replies = pair_at(tmp_path, port).answers_at("127.0.0.1")
    assert [reply.headers["X-Region"] for reply in replies] == ["icn", "pus"] * (TIMES // 2)
    assert seen == ["no-cache, no-store"] * TIMES


def test_a_cached_answer_proves_nothing(tmp_path: Path) -> None:
    """It is two hours old: the region may be gone since."""
    with ingress(age="7200") as (port, _), pytest.raises(Inconclusive, match=r"127\.0\.0\.1: answered from a cache"):
        pair_at(tmp_path, port).answers_at("127.0.0.1")


def test_a_dead_address_is_no_answer(tmp_path: Path) -> None:
    """One of several addresses that nobody listens on."""
    with reserved_port() as port, pytest.raises(Unreachable):
        pair_at(tmp_path, port).answers_at("127.0.0.1")


ANSWER = """id 1
opcode QUERY
rcode NOERROR
flags QR RD RA
;QUESTION
a.test. IN A
;ANSWER
a.test. 3600 IN CNAME b.test.
b.test. 30 IN CNAME c.test.
c.test. 60 IN A 10.0.0.1
"""


def test_the_whole_chain_of_names_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alias in front may keep clients at the old region for an hour, though the address lives a minute."""
    monkeypatch.setattr(probe, "_query", lambda *_: dns.message.from_text(ANSWER))
    found = probe.resolve("a.test", "10.0.0.53")
    assert (found.addresses, found.ttl_s, found.longest_ttl_s) == (("10.0.0.1",), 30, 3600)
    assert found.chain_text == "a.test (3600 s) -> b.test (30 s) -> c.test (60 s)"
