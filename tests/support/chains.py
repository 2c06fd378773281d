"""Chains of made certificates: root, intermediates and leaf, each of a lifetime of its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BEFORE = dt.timedelta(days=400)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def chain_in(folder: Path, days: Mapping[str, float], *, send_root: bool = False) -> tuple[Path, Path, Path]:
    """A chain from root to leaf whose certificates end in so many `days`, by their names: root, those between, leaf.

    Returns what a server sends, the leaf's key, and the root alone, which clients trust.
    """
    issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None
    made: list[bytes] = []
    for name, left in days.items():
        key, subject = ec.generate_private_key(ec.SECP256R1()), _named(name)
        signer, signing_key = issuer or (subject, key)
        authority = name != list(days)[-1]
        now = dt.datetime.now(dt.UTC)
        built = (
            x509.CertificateBuilder(signer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + dt.timedelta(days=left))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            # What Python 3.13 requires of a chain: whose key this is, whose key signed it, and for what.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        )
        if authority:
            built = built.add_extension(_SIGNS_CERTIFICATES, critical=True)
        made.append(built.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        issuer = (subject, key)
    assert issuer is not None
    sent, secret, trusted = folder / "sent.pem", folder / "leaf.key", folder / "root.pem"
    sent.write_bytes(b"".join(reversed(made if send_root else made[1:])))
    trusted.write_bytes(made[0])
    secret.write_bytes(
        issuer[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return sent, secret, trusted


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
