"""The DNS probe against real resolvers on this machine, working and failing."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.dns import resolve
from tests.probes.probe_servers import Recorder, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "judgment.region.test"
Make = "Callable[[dns.message.Message], bytes | None]"


@contextmanager
def resolver(make: Callable[[dns.message.Message], bytes | None]) -> Iterator[str]:
    """Answer every question, over UDP and TCP, with what `make` makes of it (None: not at all)."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, line = self.request
            reply = make(dns.message.from_wire(wire))
            if reply is not None:
                line.sendto(reply, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            wire = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
            reply = records(dns.message.from_wire(wire), *(f"10.0.{n}.1" for n in range(90)))
            self.wfile.write(len(reply).to_bytes(2, "big") + reply)

    class TcpServer(socketserver.TCPServer):
        allow_reuse_address = True

    port = free_port()  # none of those that the kernel gives to whoever asks a resolver over UDP
    with TcpServer(("127.0.0.1", port), Tcp) as tcp, socketserver.UDPServer(("127.0.0.1", port), Udp) as udp:
        for server in (udp, tcp):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{port}"
        for server in (udp, tcp):
            server.shutdown()


def records(query: dns.message.Message, *addresses: str, ttl: int = 30) -> bytes:
    """Answer a question for addresses of version 4 with these, any other with none."""
    reply = dns.message.make_response(query)
    question = query.question[0]
    if addresses and question.rdtype == 1:
        reply.answer.append(dns.rrset.from_text(question.name, ttl, "IN", "A", *addresses))
    return reply.to_wire()


def test_addresses_and_time_to_live(recorder: Recorder) -> None:
    """All addresses are returned, sorted, with the seconds they may be kept, and the answer is evidence."""
    with resolver(lambda query: records(query, "10.0.0.2", "10.0.0.1")) as where:
        found = resolve(NAME, where, 60, record=recorder)
    assert (found.addresses, found.ttl_s, found.resolver) == (("10.0.0.1", "10.0.0.2"), 30, where)
    assert "10.0.0.2" in recorder.text


def test_the_shortest_time_on_the_way_counts() -> None:
    """An alias that lives shorter than the address it leads to ends the answer sooner."""

    def alias(query: dns.message.Message) -> bytes:
        reply = dns.message.make_response(query)
        name = query.question[0].name
        reply.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", "edge.region.test."))
        if query.question[0].rdtype == 1:
            reply.answer.append(dns.rrset.from_text("edge.region.test.", 300, "IN", "A", "10.0.0.1"))
        return reply.to_wire()

    with resolver(alias) as where:
        found = resolve(NAME, where, 60)
    assert (found.addresses, found.ttl_s) == (("10.0.0.1",), 5)


def test_an_unknown_name_has_no_address() -> None:
    """NXDOMAIN is an answer: the name leads nowhere."""

    def unknown(query: dns.message.Message) -> bytes:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    with resolver(unknown) as where:
        found = resolve(NAME, where, 60)
    assert (found.addresses, found.ttl_s) == ((), None)


def test_an_answer_too_long_for_udp_is_asked_for_again_over_tcp() -> None:
    """A truncated answer is never taken for the whole one."""

    def cut(query: dns.message.Message) -> bytes:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    with resolver(cut) as where:
        assert len(resolve(NAME, where, 60).addresses) == 90


def test_a_resolver_that_fails_is_inconclusive() -> None:
    """SERVFAIL is no answer to where clients are sent; neither is rubbish."""

    def failing(query: dns.message.Message) -> bytes:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.SERVFAIL)
        return reply.to_wire()

    with resolver(failing) as where, pytest.raises(Inconclusive, match="SERVFAIL"):
        resolve(NAME, where, 60)
    with resolver(lambda query: query.to_wire()[:2] + b"\xff" * 9) as where, pytest.raises(Inconclusive):
        resolve(NAME, where, 60)


def test_silence_and_a_closed_port_are_unreachable() -> None:
    """No answer is no answer, whatever the reason: over UDP a closed port is as silent as a lost packet."""
    with resolver(lambda _: None) as where, pytest.raises(Unreachable, match="no answer") as caught:
        resolve(NAME, where, timeout_s=0.2)
    assert caught.value.by_clock
    with pytest.raises(Unreachable, match="no answer"):
        resolve(NAME, f"127.0.0.1:{free_port()}", timeout_s=0.2)


@pytest.mark.parametrize("named", ["dns.example.com", "dns.example.com:53", "", ":53"])
def test_a_resolver_is_named_by_its_address(named: str) -> None:
    """A name would be resolved by this machine's own resolver."""
    with pytest.raises(Inconclusive, match="is not an address"):
        resolve(NAME, named)
