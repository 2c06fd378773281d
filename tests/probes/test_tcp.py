"""The port probe, and the two probes that connect to an address other than the one a URL names."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Unreachable
from opsverify.probes.http import Http
from opsverify.probes.tcp import port_answer
from opsverify.probes.tls import certificate
from tests.probes.probe_servers import FakeServer, Recorder, free_port, tls_server

if TYPE_CHECKING:
    from tests.probes.probe_servers import CertificateOf


def test_open_and_closed(recorder: Recorder) -> None:
    """A port that is listened on is open, one that is not is refused, and both are recorded."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert port_answer("127.0.0.1", server.getsockname()[1], record=recorder) == "open"
    assert port_answer("127.0.0.1", free_port(), record=recorder) == "refused"
    assert [body.partition(":")[0] for _, body, _ in recorder.kept] == ["open", "refused"]


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("timed out"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_refusal_is_no_answer(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A firewall that drops, a network that is down, a host that is off and an unknown name prove no closed port."""

    def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", connect)
    assert port_answer("db.example.com", 5432, record=recorder) == "no answer"
    assert recorder.kept[0][1].startswith("no answer: ")


def test_http_at_an_address(fake: FakeServer) -> None:
    """The request goes to the address, with the name of the URL as its Host."""
    fake.answer("/health", {"status": "ok"})
    port = fake.url.rpartition(":")[2]
    with Http() as http:
        reply = http.get(f"http://judgment.region.test:{port}/health", address="127.0.0.1")
    assert reply.field("status") == "ok"
    assert fake.seen[0][2]["Host"] == f"judgment.region.test:{port}"


def test_tls_at_an_address(certificate_of: CertificateOf) -> None:
    """The certificate is verified against the name of the URL, wherever the connection goes."""
    files = certificate_of(86400)
    with tls_server(files) as server, Http() as http:
        port = server.url.rpartition(":")[2]
        for ask in (
            lambda url: certificate(url, str(files[0]), address="127.0.0.1"),
            lambda url: http.get(url, address="127.0.0.1", ca_file=str(files[0])),
        ):
            assert ask(f"https://probe.example.com:{port}/")
            with pytest.raises(Unreachable, match=r"not valid for 'other\.example\.com'|certificate refused"):
                ask(f"https://other.example.com:{port}/")
