"""Resolvers and ingresses of two regions: at each region's address TLS and a small judgment service.

Run as `python -m sandbox.regions.front --home HOME`. What is answered where stands in the zone file, which is
read at every question, as certificates are at every connection: moving traffic is replacing that file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import socketserver
import ssl
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import psycopg

from sandbox.home import DATABASE
from sandbox.redis import client
from sandbox.regions.ground import ADDRESSES, CACHE_TTL_S, NAME, REGIONS, RESOLVERS, TTL_S, Ground, load, read_zone

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_TAG = "X-Synthetic-Tag"
_PRODUCED = "SELECT sum(produced_qty)::float8 FROM fact_daily_production WHERE date BETWEEN %s AND %s"


class Resolver(socketserver.BaseRequestHandler):
    """Name server of one name, read from the zone file."""

    def __init__(self, *arguments: Any, home: Path, name: str) -> None:  # noqa: ANN401 - socketserver's own
        self._home, self._name = home, name
        super().__init__(*arguments)

    def handle(self) -> None:
        """Answer one question."""
        wire, answers_by = self.request
        with suppress(dns.exception.DNSException):
            query = dns.message.from_wire(wire)
            question = query.question[0]
            reply = dns.message.make_response(query, recursion_available=True)
            if question.name.to_text(omit_final_dot=True) != NAME:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif question.rdtype == dns.rdatatype.A:
                address = ADDRESSES[read_zone(self._home).resolvers[self._name]]
                reply.answer.append(dns.rrset.from_text(question.name, TTL_S, "IN", "A", address))
            answers_by.sendto(reply.to_wire(), self.client_address)


class SecureFront(ThreadingHTTPServer):
    """TLS server that reads its certificate from a file at every connection."""

    def __init__(self, at: tuple[str, int], handler: Any, certificate: Path) -> None:  # noqa: ANN401 - socketserver's own
        self._certificate = certificate
        super().__init__(at, handler)

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:  # noqa: ANN401 - as above
        """Shake hands in the connection's own thread, and answer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        try:
            secured = context.wrap_socket(cast("socket.socket", request), server_side=True)
        except OSError:  # a client that refuses the certificate, or only looked whether the port is open
            return
        with secured:
            super().finish_request(secured, client_address)


class Ingress(BaseHTTPRequestHandler):
    """The ingress at one region's address, and its judgment service."""

    protocol_version = "HTTP/1.1"
    _turns = itertools.count()
    _turn = 0

    def __init__(self, *arguments: Any, ground: Ground, region: str) -> None:  # noqa: ANN401 - socketserver's own
        self._ground, self._address_of = ground, region
        super().__init__(*arguments)

    @property
    def _region(self) -> str:
        """The region that this address leads to."""
        zone = read_zone(self._ground.home)
        region = zone.fronts[self._address_of]
        if self._address_of in zone.alternating and self._turn % 2:
            return next(name for name in REGIONS if name != region)
        return region

    def do_GET(self) -> None:
        """Health, and production figures for BI."""
        self._turn = next(self._turns)
        url = urlsplit(self.path)
        if url.path == "/health":
            self._answer(self._health)
        elif url.path == "/v1/bi/production":
            span = parse_qs(url.query)
            self._answer(lambda: {"totals": {"produced_qty": self._row(_PRODUCED, span["from"][0], span["to"][0])[0]}})
        else:
            self._send(404, {"error": "not found"})

    def do_POST(self) -> None:
        """A judgment, or a workflow."""
        self._turn = 0  # the connection may have sent a GET before
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/v1/judgments":
            self._answer(lambda: self._judge(body))
        elif self.path == "/v1/workflows":
            sql = "INSERT INTO workflow_instances (status, synthetic_tag) VALUES ('COMPLETED', %s) RETURNING id, status"
            self._answer(lambda: dict(zip(("id", "status"), self._row(sql, self.headers.get(_TAG)), strict=True)))
        else:
            self._send(404, {"error": "not found"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log no requests."""

    def _health(self) -> dict[str, Any]:
        in_recovery = self._row("SELECT pg_is_in_recovery()")[0]
        return {"status": "ok", "region": self._region, "version": "1.4.0", "database_in_recovery": in_recovery}

    def _judge(self, body: dict[str, Any]) -> dict[str, Any]:
        line, result = str(body.get("line_code", "L01")), "OK" if float(body.get("temperature", 0)) < 100 else "ALARM"  # noqa: PLR2004 - degrees
        found = self._row(
            "INSERT INTO judgment_executions (line_code, result, synthetic_tag) VALUES (%s, %s, %s) RETURNING id",
            line, result, self.headers.get(_TAG),
        )  # fmt: skip
        with client(self._ground.region(self._region)) as cache:
            cache.set(f"judgment:{found[0]}", result, ex=CACHE_TTL_S)
        return {"execution_id": str(found[0]), "result": result}

    def _row(self, sql: str, *values: object) -> tuple[Any, ...]:
        settings = self._ground.region(self._region)
        with psycopg.connect(
            host="127.0.0.1", port=settings.ports["postgres"], dbname=DATABASE, user="judgment_app",
            password=settings.secret("judgment_app"), connect_timeout=2,
        ) as connection:  # fmt: skip
            return cast("tuple[Any, ...]", connection.execute(sql.encode(), values).fetchone())

    def _answer(self, make: Callable[[], dict[str, Any]]) -> None:
        try:
            content = make()
        except psycopg.Error as error:
            self._send(503, {"status": "down", "error": str(error).strip().splitlines()[0]})
        else:
            self._send(200, content)

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Region", self._region)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    ground = load(parser.parse_args().home)
    servers: list[socketserver.BaseServer] = [
        socketserver.ThreadingUDPServer(
            ("127.0.0.1", ground.ports[name]), partial(Resolver, home=ground.home, name=name)
        )
        for name in RESOLVERS
    ]
    servers += [
        SecureFront(
            (address, ground.ports["http"]), partial(Ingress, ground=ground, region=region), ground.certificate(region)
        )
        for region, address in ADDRESSES.items()
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.pause()


if __name__ == "__main__":
    main()
