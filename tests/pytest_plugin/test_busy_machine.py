"""A run whose process is stopped while it measures: a hold, never a failure; what is no time fails all the same."""

from __future__ import annotations

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pytest_plugin.suite import Suite

STOPPED_S = 2.0
MEASURES = """
from opsverify.probes.http import Http

SECOND = Limit.parse("< 1 s", "s")

@described("t.case")
def test_case(check):
    url = check.target.services["a"].url + "/stop/" + str(os.getpid())
    BODY
"""
DURATION = 'check.measure("latency", Http().get(url).elapsed_s, SECOND)'
TIMEOUT = 'with check.must_answer("a"): Http(timeout_s=0.5).get(url + "/late")'
STATUS = (
    'reply = Http().get(url); check.measure("latency", reply.elapsed_s, SECOND); check.expect("s", reply.status, 204)'
)
BUSY = "this machine was too busy to measure"


class _Stops(BaseHTTPRequestHandler):
    """Stops whoever asks: it answers at once (`/late`: never), and lets the client go on after `STOPPED_S`."""

    def do_GET(self) -> None:
        _, _, pid, *late = self.path.split("/")
        os.kill(int(pid), signal.SIGSTOP)
        if not late:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        threading.Event().wait(STOPPED_S)
        os.kill(int(pid), signal.SIGCONT)
        if late:
            self.rfile.read(1)  # until the client closes: an end of the answer is none in time

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service that stops its client."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stops) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _project(suite: Suite, url: str, body: str, limits: str = "") -> None:
    suite.target(limits)
    path = suite.root / "targets" / "t.toml"
    path.write_text(path.read_text().replace("http://127.0.0.1:9", url))
    suite.checks("case", MEASURES.replace("BODY", body))


@pytest.mark.parametrize("way", ["cli", "cli-n2"])
@pytest.mark.parametrize("body", [DURATION, TIMEOUT], ids=["duration", "timeout"])
def test_stopped_in_the_middle_of_a_call(suite: Suite, url: str, way: str, body: str) -> None:
    """A run that was stopped for two seconds has measured itself: it holds, and says what to do."""
    _project(suite, url, body)
    ran = suite.run(way)
    assert ran.code == 10, str(ran)
    assert ran.outcomes["t.case"] == "inconclusive"
    assert BUSY in ran.reasons
    assert "run again on a machine with free CPU" in ran.reasons


@pytest.mark.parametrize(
    ("body", "limits"),
    [(STATUS, ""), (DURATION, '[limits]\nrun_delay = "<= 1 h"\n')],
    ids=["a_wrong_status_beside_it", "a_delay_within_its_limit"],
)
def test_failures_stay(suite: Suite, url: str, body: str, limits: str) -> None:
    """A wrong status is wrong however late the run was; a delay within the target's limit excuses nothing."""
    _project(suite, url, body, limits)
    ran = suite.run()
    assert ran.code == 1, str(ran)
    assert ran.outcomes["t.case"] == "fail"
    assert BUSY not in ran.reasons
