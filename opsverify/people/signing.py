"""Signatures of persons: Ed25519 over an attestation, verified with the public key that the target has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.people.log import SignedEntry


def sign(entry: SignedEntry, private_key: Path) -> str:
    """The signature in hexadecimal, by an Ed25519 PKCS8 PEM file. Raises EvidenceError where it is no such key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only who signs
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - only who signs

    try:
        key = load_pem_private_key(private_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise EvidenceError(
            say("{path}: no usable private key; expected Ed25519, PKCS8, PEM", path=private_key)
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceError(say("{path}: no usable private key; expected Ed25519, PKCS8, PEM", path=private_key))
    return key.sign(entry.signed_bytes).hex()


def verified(entry: SignedEntry, public_key: Path) -> bool:
    """Whether the entry is signed by this key (PEM). Raises EvidenceError where the file is no such key."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where a person has a key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - the same

    try:
        key = load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        raise EvidenceError(say("{path}: no usable public key; expected Ed25519, PEM", path=public_key)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise EvidenceError(say("{path}: no usable public key; expected Ed25519, PEM", path=public_key))
    try:
        key.verify(bytes.fromhex(entry.signature or ""), entry.signed_bytes)
    except (InvalidSignature, ValueError):
        return False
    return True
