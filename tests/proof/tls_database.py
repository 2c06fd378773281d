"""TLS in front of a PostgreSQL that was built without it, as a connection pooler in front of it would end it."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""PostgreSQL's protocol 3.0, section 54.7: length 8, code 80877103; the answer is one byte."""
_CHUNK = 1 << 16


@contextmanager
def tls_database(certificate: Path, port: int) -> Iterator[int]:
    """Take connections with TLS, hand them on to 127.0.0.1:`port` without; the port to use instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Pooler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if self.request.recv(len(_SSL_REQUEST), socket.MSG_WAITALL) != _SSL_REQUEST:
                return
            self.request.sendall(b"S")
            with (
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(("127.0.0.1", port)) as server,
            ):
                back = threading.Thread(target=_pump, args=(server, client))
                back.start()
                _pump(client, server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pooler) as pooler:
        pooler.daemon_threads = True
        thread = threading.Thread(target=pooler.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield pooler.server_address[1]
        finally:
            pooler.shutdown()
            thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
