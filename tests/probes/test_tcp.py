"""The port probe, and the two probes that connect to an address other than the one a URL names."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Unreachable
from opsverify.probes.http import Http
from opsverify.probes.tcp import is_open
from opsverify.probes.tls import certificate
from tests.probes.probe_servers import FakeServer, Recorder, free_port, tls_server

if TYPE_CHECKING:
    from tests.probes.probe_servers import CertificateOf


def test_open_and_closed(recorder: Recorder) -> None:
    """A port that is listened on is open, one that is not is closed, and both are recorded."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert is_open("127.0.0.1", server.getsockname()[1], record=recorder)
    assert not is_open("127.0.0.1", free_port(), record=recorder)
    assert [body.partition(":")[0] for _, body, _ in recorder.kept] == ["open", "closed"]


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
