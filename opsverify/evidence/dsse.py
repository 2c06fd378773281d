"""DSSE: envelopes around in-toto statements, signed and verified with Ed25519 keys."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import json_in
from opsverify.evidence.statement import STATEMENT
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.dsse import Envelope

    # The package re-exports both without `__all__`, which mypy requires.
    from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


def enveloped(statement: Mapping[str, Any], signer: CryptoSigner) -> str:
    """The text of the signed envelope of a statement."""
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - 0.3 s that only signing pays

    content = json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode()
    envelope = Envelope(content, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return json.dumps(envelope.to_dict(), indent=2) + "\n"


def require_signature(signature: bytes | None, files: Mapping[str, bytes | None], key: SSlibKey, wanted: str) -> None:
    """Raise EvidenceError with the reason why the signature of `key` is not valid for the files."""
    from securesystemslib.exceptions import VerificationError  # noqa: PLC0415 - as above

    envelope = _envelope(signature)
    try:
        envelope.verify([key], 1)
    except VerificationError as error:
        raise EvidenceError(say("no valid signature by key {keyid}...", keyid=key.keyid[:12])) from error
    try:
        statement = json_in(envelope.payload, "payload")
        kinds = (envelope.payload_type, statement["_type"], statement["predicateType"])
        signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except (EvidenceError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(say("the signed content is not an in-toto statement")) from error
    if kinds != (PAYLOAD_TYPE, STATEMENT, wanted):
        raise EvidenceError(
            say("the signed content is not an in-toto test result but {kinds}", kinds=", ".join(map(str, kinds)))
        )
    for name, content in files.items():
        if content is None or hashlib.sha256(content).hexdigest() != signed.get(name):
            raise EvidenceError(say("{name} is not the file that was signed", name=name))


def _envelope(content: bytes | None) -> Envelope:
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - as above

    if content is None:
        raise EvidenceError(say("missing: the run is not signed"))
    try:
        return Envelope.from_dict(json_in(content, "signature"))
    # The envelope is untrusted input, and the library checks no types: each of these means "not an envelope".
    except (EvidenceError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(say("not a DSSE envelope")) from error


def signer_of(pem: str) -> CryptoSigner:
    """The signer of an Ed25519 PKCS8 PEM key. Raises EvidenceError if it cannot be used."""
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # noqa: PLC0415 - as above

    return CryptoSigner(private_key_of(pem))


def private_key_of(pem: str) -> Ed25519PrivateKey:
    """The key of a PEM text. Raises EvidenceError if it cannot be used."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        # The cause is left out: a parser's message may quote the key.
        raise EvidenceError(say("signing key: expected an unencrypted Ed25519 key in PKCS8 PEM form")) from None
    return key


def public_key_of(pem: str) -> SSlibKey:
    """The key of a PEM text. Raises EvidenceError if it cannot be used."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # noqa: PLC0415 - as above

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError) as error:
        raise EvidenceError(say("public key: expected an Ed25519 key in PEM form")) from error
    if not isinstance(key, Ed25519PublicKey):
        raise EvidenceError(say("public key: expected an Ed25519 key in PEM form"))
    return SSlibKey.from_crypto(key)
