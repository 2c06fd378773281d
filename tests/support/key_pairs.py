"""Key pairs to sign and to verify with, made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from opsverify.evidence.signature import public_half

if TYPE_CHECKING:
    from pathlib import Path


def key_pair(path: Path) -> tuple[str, Path]:
    """The private half as PEM text; the public one is written to `path`."""
    private = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_text(public_half(private.decode()), encoding="utf-8")
    return private.decode(), path
