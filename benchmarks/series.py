"""Series: seconds of CPU and memory of a look of the canary gate at many series a signal, with exact counts.

A look is what a step does: all queries, the line of evidence (redacted, compressed, written), counting and decision.
The first one reads the samples before the window and meets every series; all later ones read what is new.

python benchmarks/series.py [SERIES]
"""

from __future__ import annotations

import gc
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

from opsverify.canary.observer import SCOPES, Clock, Observer, selectors
from opsverify.canary.watch import GateWatch
from opsverify.canary.window_setup import PROCESS_START, REQUESTS, UP, Setup
from opsverify.config.model import Canary, PrometheusConfig
from opsverify.config.signals import Signals
from opsverify.evidence.redact import Recurring, Redactor
from opsverify.probes.prometheus import Prometheus
from tests.canary.metrics_double import COUNTED, POLICY

SERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
INSTANCES = 50
SCRAPES = 4
SCRAPE_S = 15.0
LOOKS = 4
GROWTH = 10.0
START = 1_700_000_000.0
MEGABYTE = 1024


def answer(name: str, scope: str, until: float, since: float) -> bytes:
    """Every series of a signal, a sample each 15 s, as Prometheus spells it; start times and `up` once an instance."""
    of_process = name in (PROCESS_START, UP)
    moments = [START + SCRAPE_S * n for n in range(-SCRAPES + 1, 100) if since < START + SCRAPE_S * n <= until]
    entries = []
    for n in range(INSTANCES if of_process else SERIES):
        labels = {"__name__": name, "instance": f"10.0.{n % INSTANCES}.1:8000", "track": scope}
        if not of_process:
            labels |= {"path": f"/judge/{n}", "code": "200"}
        values = [[at, str(_value(name, n, at))] for at in moments]
        entries.append({"metric": dict(sorted(labels.items())), "values": values})
    body = {"status": "success", "data": {"resultType": "matrix", "result": entries}}
    return json.dumps(body, separators=(",", ":")).encode()


def _value(name: str, number: int, at: float) -> float:
    if name == PROCESS_START:
        return START - 5000
    return 1 if name == UP else number + GROWTH * round((at - START) / SCRAPE_S + SCRAPES)


def serve() -> None:
    """Serve `SCOPE:SIGNAL[SPANms]`, and print the port."""
    empty = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    made: dict[tuple[str, ...], bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            query, body = asked["query"][0], empty
            if not query.startswith("ALERTS"):
                selector, _, span = query.rstrip("ms]").partition("[")
                until = float(asked["time"][0])
                # What is asked for beforehand by `warm` costs nothing while it is measured.
                body = made.setdefault((selector, span, asked["time"][0]), b"") or answer(
                    *selector.split(":")[::-1], until, until - float(span) / 1000
                )
                made[selector, span, asked["time"][0]] = body
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def main() -> None:
    """Measure the first look and later ones."""
    argv = [sys.executable, __file__, str(SERIES), "serve"]
    names = selectors(Canary(), Signals(), 1.5, set())
    found = {scope: {name: f"{scope}:{name}" for name in names[scope]} for scope in SCOPES} | {
        "alerts": names["alerts"]
    }
    setup = Setup(start=START, policy=POLICY, counted=COUNTED, selectors=found)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{next(iter(server.stdout or ())).strip()}"
        with (
            tempfile.TemporaryFile() as kept,
            gzip.open(kept, "wt", 4, encoding="utf-8") as keep,
            Prometheus(PrometheusConfig(url=url, timeout_s=60)) as prometheus,
        ):
            clock, shown = Clock(time.time, time.sleep), Recurring(Redactor(["a password of this benchmark"]))
            observer = Observer(prometheus, clock, print, print, 1.5, look_within_s=60)
            watch, since = GateWatch(setup), START - 65.0
            for number in range(LOOKS):
                gc.disable()  # as the observer does
                at = START + SCRAPE_S * number
                busy = [time.process_time()]
                step = observer._query(setup, at, since)  # noqa: SLF001 - a look, without the window around it
                busy.append(time.process_time())
                written = sum(map(keep.write, step.parts(shown.text)))
                busy.append(time.process_time())
                watch.advance(step)
                watch.decision  # noqa: B018 - counted at its first use
                busy.append(time.process_time())
                since = at - 15.0
                if step.fault is not None:
                    raise SystemExit(step.fault)
                del step
                gc.enable()
                most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                parts = ", ".join(
                    f"{what} {later - earlier:.2f}"
                    for what, (earlier, later) in zip(("queries", "evidence", "counting"), pairwise(busy), strict=True)
                )
                sys.stdout.write(
                    f"look {number + 1}: {busy[-1] - busy[0]:.2f} s of CPU ({parts}), {written / 1e6:.0f} MB of "
                    f"evidence, {(most - before) / MEGABYTE:.0f} MB more memory so far\n"
                )
        for scope in SCOPES:
            expected = SERIES * GROWTH * (LOOKS - 1)
            if watch.grown(scope, REQUESTS) != expected:
                raise SystemExit(f"{scope}: {watch.grown(scope, REQUESTS)} requests counted, expected {expected}")
        sys.stdout.write(f"{sum(map(len, names.values()))} queries of {SERIES} series a look; counts exact\n")
        server.communicate()


if __name__ == "__main__":
    if "serve" in sys.argv:
        serve()
    else:
        main()
