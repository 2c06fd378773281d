"""Envelopes: what is signed here is what the library that verifies would have signed."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from opsverify.evidence.dsse import PAYLOAD_TYPE, enveloped, public_key_of, signer_of

STATEMENT = {"_type": "x", "subject": [{"name": "가", "digest": {"sha256": "00"}}]}


def test_an_envelope_is_the_one_that_the_library_makes() -> None:
    """Key id, encoding and signature (Ed25519 has no chance in it) are the library's, byte for byte."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    content = json.dumps(STATEMENT, ensure_ascii=False, separators=(",", ":")).encode()
    envelope = Envelope(content, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key))

    signer = signer_of(private)

    assert signer.keyid == public_key_of(public).keyid
    assert json.loads(enveloped(STATEMENT, signer)) == envelope.to_dict()
