"""A tiny HTTPS service whose fresh certificate hangs on an intermediate one of a chosen lifetime."""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.support.chains import chain_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server looks for
        body = json.dumps({"status": "ok"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - http.server's own word
        """Say nothing: the output belongs to the tests."""


@contextmanager
def secure_server(folder: Path, days: int) -> Iterator[dict[str, str]]:
    """Serve HTTPS with an intermediate certificate that ends in `days` days; the service as a target describes it."""
    folder.mkdir()
    sent, key, trusted = chain_in(folder, {"proof root": 300, "proof intermediate": days, "127.0.0.1": 90})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sent, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield {
                "url": f"https://127.0.0.1:{server.server_address[1]}",
                "ca_file": str(trusted),
            }
        finally:
            server.shutdown()
            thread.join()
