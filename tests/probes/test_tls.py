"""The certificate probe against real TLS servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.local_timer import LocalTimer
from opsverify.probes.tls import certificate
from tests.probes.probe_servers import FakeServer, Recorder, free_port, tls_server
from tests.support.chains import chain_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.probes.probe_servers import CertificateOf


def test_certificate(certificate_of: CertificateOf, recorder: Recorder) -> None:
    """Subject, issuer and the time left are read from a verified connection."""
    watch = LocalTimer()
    files = certificate_of(3 * 86400)
    with tls_server(files) as server:
        found = certificate(server.url, ca_file=str(files[0]), record=recorder)
    assert found is not None
    assert found.subject == found.issuer == "CN=probe.example.com"
    assert [link.role for link in found.chain] == ["leaf"]
    assert 3 * 86400 - 1 - watch.elapsed_s <= found.remaining_s <= 3 * 86400  # its end is a whole second
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


@pytest.mark.parametrize("send_root", [False, True])
def test_every_certificate_of_the_chain_is_read(tmp_path: Path, *, send_root: bool) -> None:
    """Trap: only the leaf is fresh; leaf, both intermediates and the root are there, sent or not."""
    days = {"root": 300.0, "middle": 3.0, "issuing": 200.0, "leaf": 89.0}
    sent, key, trusted = chain_in(tmp_path, days, send_root=send_root)
    with tls_server((sent, key)) as server:
        found = certificate(server.url, ca_file=str(trusted))
    assert found is not None
    assert [(link.role, link.subject) for link in found.chain] == [
        ("leaf", "CN=leaf"), ("intermediate", "CN=issuing"), ("intermediate", "CN=middle"), ("root", "CN=root"),
    ]  # fmt: skip
    left = {link.subject.removeprefix("CN="): round(link.remaining_s / 86400, 2) for link in found.chain}
    assert left == days
    assert found.remaining_s == found.chain[0].remaining_s
    assert "intermediate CN=middle, ends " in [link.text for link in found.chain][2]
    assert not any(link.sent_only for link in found.chain)


def test_what_the_server_sends_besides_is_read_too(tmp_path: Path) -> None:
    """A cross-signed certificate that this client does not need may be what another one follows."""
    (tmp_path / "other").mkdir()
    sent, key, trusted = chain_in(tmp_path, {"root": 300, "middle": 100, "leaf": 89})
    other = chain_in(tmp_path / "other", {"old root": 300, "old middle": 2, "old leaf": 89})[0]
    sent.write_bytes(sent.read_bytes() + other.read_bytes())
    with tls_server((sent, key)) as server:
        found = certificate(server.url, ca_file=str(trusted))
    assert found is not None
    assert [link.subject for link in found.chain if link.sent_only] == ["CN=old leaf", "CN=old middle"]
    assert min(link.remaining_s for link in found.chain) < 3 * 86400


def test_an_intermediate_that_has_ended_is_named(tmp_path: Path) -> None:
    """The leaf is what everybody looks at first; clients are refused all the same."""
    sent, key, trusted = chain_in(tmp_path, {"root": 300, "middle": -1, "leaf": 89})
    with tls_server((sent, key)) as server, pytest.raises(Unreachable, match=r"expired: intermediate CN=middle, ends"):
        certificate(server.url, ca_file=str(trusted))


def test_a_chain_of_another_authority_is_refused(tmp_path: Path) -> None:
    """It is verified against the authority that the target names, whoever the server's own is."""
    (tmp_path / "other").mkdir()
    sent, key, _ = chain_in(tmp_path, {"root": 300, "middle": 100, "leaf": 89})
    trusted = chain_in(tmp_path / "other", {"root": 300, "leaf": 89})[2]
    with tls_server((sent, key)) as server, pytest.raises(Unreachable, match="certificate refused"):
        certificate(server.url, ca_file=str(trusted))
