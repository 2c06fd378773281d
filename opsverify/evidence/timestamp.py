"""Time stamp of a run's signature (RFC 3161): an authority's word that the signature was there at a time.

The stamp is over the SHA-256 sum of `signature.dsse.json` and lies beside it, as the authority answered. A key that was
revoked later had signed the run before, where its stamp says so. `openssl ts -verify` reads the same file.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.evidence.files import write_atomic
from opsverify.evidence.once_read import read_json, read_once
from opsverify.evidence.signature import SIGNATURE, Stamp
from opsverify.language.message import Message, pair, say, unpair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

    from opsverify.config.evidence import EvidenceConfig

TIMESTAMP: Final = "signature.tsr"
UNSTAMPED: Final = "signature.unstamped.json"
EXTRA: Final = "timestamp"
TIMEOUT_S: Final = 10.0
_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_UNTRUSTED: Final = ("certificate verify error", "EKU", "KeyPurposeID")
"""What the library says of an answer whose certificate is not one of, or not issued by, those that are trusted."""


def stamp_run(folder: Path, config: EvidenceConfig, proxy: str) -> str | None:
    """Have the run's signature stamped into `signature.tsr`; why there is none, which is written down as well.

    A stamp is kept only where it is valid by the target's own certificates. Raises EvidenceError where nothing can be
    written.
    """
    if config.timestamp_url is None or config.timestamp_ca is None:
        return None
    try:
        signature = read_once(folder / SIGNATURE)
        authorities = read_authorities(Path(config.timestamp_ca))
        answer = _requested(signature, config.timestamp_url, proxy)
        found = check_stamp(answer, signature, [authorities])
        if found.state != "valid":
            raise EvidenceError(say("{url}: {reason}", url=config.timestamp_url, reason=found.reason))
    except (EvidenceError, Inconclusive, OSError) as error:
        missing = say("evidence without time stamp: {error}", error=error)
        text = json.dumps({"at": dt.datetime.now(dt.UTC).isoformat(), **pair("reason", missing)}, ensure_ascii=False)
        write_atomic(folder / UNSTAMPED, text + "\n")
        return missing
    write_atomic(folder / TIMESTAMP, answer)
    return None


def read_authorities(path: Path) -> str:
    """The certificates of an authority, as PEM text. Raises EvidenceError where they cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        _certificates(text)
    except (OSError, ValueError) as error:
        raise EvidenceError(
            say("certificates of the authority {path}: cannot be read ({error})", path=path, error=error)
        ) from error
    return text


def stamp_of(folder: Path, authorities: Sequence[str]) -> Stamp | None:
    """What the stamp beside a run's signature proves by these certificates (PEM); None where there is none."""
    try:
        answer = read_once(folder / TIMESTAMP)
        signature = read_once(folder / SIGNATURE)
    except FileNotFoundError:
        return None
    except (OSError, EvidenceError) as error:
        return Stamp("altered", reason=say("cannot be read ({error})", error=error))
    if not authorities:
        return Stamp("not checked", reason=say("time stamp not checked: no [[authority]] is listed with the keys"))
    try:
        return check_stamp(answer, signature, authorities)
    except EvidenceError as error:
        return Stamp("not checked", reason=str(error))


def check_stamp(answer: bytes, signature: bytes, authorities: Sequence[str]) -> Stamp:
    """What an authority's answer proves of a signature, at the answer's own time: its certificates may end later.

    Raises EvidenceError where the extra is not installed.
    """
    library = _library()
    try:
        decoded = library.decode_timestamp_response(answer)
        imprint = decoded.tst_info.message_imprint
        at: dt.datetime = decoded.tst_info.gen_time
    except ValueError:
        return Stamp("altered", reason=say("not a time stamp (RFC 3161)"))
    digest = hashlib.sha256(signature).digest()
    if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != digest:
        return Stamp("altered", reason=say("the time stamp of another signature"))
    roots = list({one for text in authorities for one in _certificates(text)})
    named = _verified(decoded, digest, roots, at)
    if named == "valid":
        return Stamp("valid", at)
    # The library asks for the certificates first: a time at which they were not valid would hide that it was altered.
    issued = _issued(decoded)
    then = _verified(decoded, digest, roots, issued) if named == "trust missing" and issued else named
    if then == "altered":
        return Stamp("altered", reason=say("the authority's signature on the time stamp is not valid"))
    if then == "valid":
        reason = say(
            "time stamp: trust missing: its authority's certificates were not valid at {at:%Y-%m-%d %H:%M:%S} UTC",
            at=at,
        )
        return Stamp("trust missing", reason=reason)
    return Stamp(
        "trust missing",
        reason=say("time stamp: trust missing: not by a listed authority; list the certificate of its own"),
    )


def _verified(
    decoded: Any,  # noqa: ANN401 - of the extra
    digest: bytes,
    roots: list[Certificate],
    at: dt.datetime,
) -> Literal["valid", "altered", "trust missing"]:
    """What an answer is worth by these certificates, if they are asked whether they were valid at this time."""
    library = _library()
    asked = SimpleNamespace(
        status=decoded.status,
        signed_data=decoded.signed_data,
        time_stamp_token=decoded.time_stamp_token,
        tst_info=SimpleNamespace(gen_time=at, message_imprint=decoded.tst_info.message_imprint),
    )
    try:
        library.VerifierBuilder(roots=roots).build().verify(asked, digest)
    except Exception as error:  # noqa: BLE001 - cryptography raises a class of its own for each malformed part
        return "trust missing" if any(word in str(error) for word in _UNTRUSTED) else "altered"
    return "valid"


def _issued(decoded: Any) -> dt.datetime | None:  # noqa: ANN401 - of the extra
    """When the newest of the certificates in an answer became valid; None where there is none to be read."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - only stamps need it

    try:
        return max(load_der_x509_certificate(one).not_valid_before_utc for one in decoded.signed_data.certificates)
    except Exception:  # noqa: BLE001 - a certificate that is not readable, by whatever error, dates nothing
        return None


def unstamped_reason(folder: Path) -> Message | None:
    """Why a run that should have a stamp has none, as was written down; None where it should have none."""
    try:
        return unpair(read_json(folder / UNSTAMPED), "reason")
    except (OSError, ValueError, LookupError, TypeError, EvidenceError):
        pass
    try:
        plan = read_json(folder / "plan.json")
    except (OSError, EvidenceError):
        return None  # a plan that is missing or altered is the manifest's problem
    if isinstance(plan, dict) and plan.get("timestamp_expected") is True:
        return say("evidence without time stamp: the run's plan says that there is one")
    return None


def _requested(signature: bytes, url: str, proxy: str) -> bytes:
    """The answer of an authority, which belongs to this request. Raises EvidenceError, Inconclusive."""
    from opsverify.probes.http import Http  # noqa: PLC0415 - httpx costs 50 ms, and most runs have no authority

    library = _library()
    query = library.TimestampRequestBuilder().data(signature).hash_algorithm(library.HashAlgorithm.SHA256).build()
    with Http(timeout_s=TIMEOUT_S, proxy=proxy) as http:
        reply = http.post(url, content=query.as_bytes(), headers={"Content-Type": _QUERY, "Accept": _REPLY})
    if reply.status != 200:  # noqa: PLR2004 - HTTP's OK
        raise EvidenceError(say("{url}: status {status} instead of a time stamp", url=url, status=reply.status))
    try:
        decoded = library.decode_timestamp_response(reply.body)
        same = decoded.status == library.PKIStatus.GRANTED and decoded.tst_info.nonce == query.nonce
    except ValueError as error:
        raise EvidenceError(say("{url}: the answer is not a time stamp (RFC 3161)", url=url)) from error
    if not same:
        raise EvidenceError(say("{url}: the answer is refused, or is that to another request", url=url))
    return reply.body


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EvidenceError(say("time stamps need opsverify[{extra}]; install it", extra=EXTRA)) from error
    return rfc3161_client


def _certificates(text: str) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - only stamps need it

    return load_pem_x509_certificates(text.encode())
