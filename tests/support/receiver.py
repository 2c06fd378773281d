"""Receiver of notifications: a local HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Sent:
    """One request: its headers in lower case and its JSON body."""

    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class WebhookReceiver:
    """What was sent to `url`; `status`, `answer` and `headers` are those of every answer."""

    url: str = ""
    status: int = 200
    answer: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """Stage and decision of each CloudEvent that was sent."""
        return [(each.body["subject"], each.body["data"]["decision"]) for each in self.sent]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A receiver on a free port, until the end of the block."""
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received = {name.lower(): value for name, value in self.headers.items()}
            receiver.sent.append(Sent(received, json.loads(body)))
            answer = receiver.answer.encode()
            self.send_response(receiver.status)
            for name, value in {"Content-Length": str(len(answer)), **receiver.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/services/T00/B00/credential-of-the-hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
