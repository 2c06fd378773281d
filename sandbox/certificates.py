"""Certificates of an authority of one's own, whom nobody but the stand-in trusts."""

from __future__ import annotations

import datetime as dt
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

LASTING = dt.timedelta(days=90)
_FOR_EVER = dt.timedelta(days=3650)
_BEFORE = dt.timedelta(days=30)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its own certificate, and the key it signs with."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str) -> Self:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begin(_named(name), _named(name), key, _FOR_EVER)
        lasting = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(lasting.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> str:
        """What whoever trusts it keeps as `ca_file`."""
        return self.certificate.public_bytes(_PEM).decode()

    def issue(self, *names: str, lifetime: dt.timedelta = LASTING) -> str:
        """Key and certificate, in PEM form, of a server with these DNS names or addresses; a negative `lifetime` ended.

        It was valid for thirty days before now, so that an expired one is nothing else than that.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begin(_named(names[0]), self.certificate.subject, key, lifetime)
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        made = builder.add_extension(alternatives, critical=False).sign(self.key, hashes.SHA256())
        return _private(key) + made.public_bytes(_PEM).decode()

    def save(self, folder: Path) -> None:
        """Keep it in `folder`: `authority.pem` for everybody, `authority.key` for whoever issues."""
        (folder / "authority.pem").write_text(self.pem, encoding="ascii")
        (folder / "authority.key").write_text(_private(self.key), encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The one that was saved in `folder`."""
        key = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{folder / 'authority.key'}: {type(key).__name__} is no key on an elliptic curve")
        return cls(x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes()), key)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + lifetime)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()
