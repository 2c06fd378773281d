"""Series: seconds and memory of one look of the canary's observer at many series a signal, with exact counts.

python benchmarks/series.py [SERIES]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from opsverify.canary.observer import SCOPES, Clock, Observer, selectors
from opsverify.canary.window_setup import Setup
from opsverify.config.model import Canary, PrometheusConfig
from opsverify.config.signals import Signals
from opsverify.probes.prometheus import Prometheus
from tests.canary.metrics_double import COUNTED, POLICY

SERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
SCRAPES = 4
MEGABYTE = 1024


def serve() -> None:
    """Serve the same answer to every range query, at another time to each, and print the port."""
    at = float(sys.argv[3])
    entries = [
        {
            "metric": {"instance": f"10.0.{n % 50}.1:8000", "path": f"/judge/{n}", "code": "200", "track": "canary"},
            "values": [[at - 15 * back, str(n + 10 * (SCRAPES - back))] for back in range(SCRAPES, 0, -1)],
        }
        for n in range(SERIES)
    ]
    matrix = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": entries}}).encode()
    empty = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            body = empty if query.startswith("ALERTS") else matrix
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
    """Measure one look."""
    now = time.time()
    argv = [sys.executable, __file__, str(SERIES), "serve", str(now)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{next(iter(server.stdout or ())).strip()}"
        names = selectors(Canary(), Signals(), 1.5, set())
        setup = Setup(start=now, policy=POLICY, counted=COUNTED, selectors=names)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with Prometheus(PrometheusConfig(url=url, timeout_s=60)) as prometheus:
            observer = Observer(prometheus, Clock(time.time, time.sleep), print, print, 1.5, look_within_s=60)
            started, busy = time.perf_counter(), time.process_time()
            step = observer._query(setup, now, now - 65)  # noqa: SLF001 - one look, without the window around it
            took = time.perf_counter() - started
            busy = time.process_time() - busy
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if step.fault is not None:
            raise SystemExit(step.fault)
        for scope in SCOPES:
            for name, series in step.samples[scope].items():
                grown = sum(max(points.values()) - min(points.values()) for points in series.values())
                if (len(series), grown) != (SERIES, SERIES * 10.0 * (SCRAPES - 1)):
                    raise SystemExit(f"{scope} {name}: {len(series)} series grew by {grown}")
        queries = sum(map(len, names.values()))
        sys.stdout.write(
            f"{queries} queries of {SERIES} series: {took:.2f} s ({busy:.2f} s of CPU), "
            f"{(most - before) / MEGABYTE:.0f} MB more; "
            "counts exact\n"
        )
        server.communicate()


if __name__ == "__main__":
    if "serve" in sys.argv:
        serve()
    else:
        main()
