"""The certificate probe against real TLS servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.tcp import certificate
from tests.probes.probe_servers import FakeServer, Recorder, free_port, tls_server

if TYPE_CHECKING:
    from tests.probes.probe_servers import CertificateOf


def test_certificate(certificate_of: CertificateOf, recorder: Recorder) -> None:
    """Subject, issuer and the time left are read from a verified connection."""
    files = certificate_of(3 * 86400)
    with tls_server(files) as server:
        found = certificate(server.url, ca_file=str(files[0]), record=recorder)
    assert found is not None
    assert found.subject == found.issuer == "commonName=probe.example.com"
    assert 3 * 86400 - 30 < found.remaining_s <= 3 * 86400
    assert "remaining_s" in recorder.text


def test_plain_http_has_none(fake: FakeServer) -> None:
    """There is no certificate to measure behind plain http."""
    assert certificate(fake.url) is None


def test_expired_certificate_is_unreachable(certificate_of: CertificateOf) -> None:
    """No client gets through to a service with an expired certificate."""
    files = certificate_of(-60)
    with tls_server(files) as server, pytest.raises(Unreachable, match="expired"):
        certificate(server.url, ca_file=str(files[0]))


def test_unknown_authority_is_unreachable(certificate_of: CertificateOf) -> None:
    """A certificate that no trusted authority signed is refused."""
    with tls_server(certificate_of(86400)) as server, pytest.raises(Unreachable, match="certificate refused"):
        certificate(server.url)


def test_no_server_and_no_tls_are_unreachable(fake: FakeServer) -> None:
    """Nothing listening, and something that speaks no TLS."""
    with pytest.raises(Unreachable, match="no connection"):
        certificate(f"https://127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="no connection"):
        certificate(fake.url.replace("http:", "https:"), timeout_s=1)


def test_unusable_ca_file_is_inconclusive() -> None:
    """A ca_file that is missing is a fault of the target file."""
    with pytest.raises(Inconclusive, match="ca_file"):
        certificate("https://127.0.0.1", ca_file="missing.pem")
