"""Signature: DSSE envelopes around the in-toto statements of a run, which name the verdict and the manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from opsverify.errors import EvidenceError
from opsverify.evidence.dsse import enveloped, private_key_of, public_key_of, require_signature, signer_of
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import MANIFEST, Problem, verify_manifest
from opsverify.evidence.once_read import json_in, read_json, read_once
from opsverify.evidence.statement import TEST_RESULT, VERIFICATION_RESULT, test_result, verification_result
from opsverify.language.message import as_message, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    # The package re-exports it without `__all__`, which mypy requires.
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

SIGNATURE: Final = "signature.dsse.json"
SUMMARY: Final = "signature.svr.dsse.json"
VERDICT: Final = "verdict.json"


@dataclass(frozen=True)
class Stamp:
    """What the time stamp of a signature proves; `at` where it is valid, `reason` where it is not."""

    state: Literal["valid", "altered", "trust missing", "not checked"]
    at: dt.datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Verification:
    """The verification of a run; `signed_by` is the id of the key whose signature is valid.

    `verdict` is the content of `verdict.json` that was verified: parse this, not the file again.
    """

    ok: bool
    problems: tuple[Problem, ...]
    signed_by: str | None
    verdict: bytes | None = None
    signature_present: bool = False
    stamp: Stamp | None = None
    """What the time stamp of the signature proves; None where there is none, or no key was given."""
    signed_before: str | None = None
    """What the stamp proves of a key that was revoked later."""


@dataclass(frozen=True)
class ReadVerdict:
    """The exact content of a `verdict.json`, and what it says: a large one takes longer to parse than to sign."""

    content: bytes
    says: Mapping[str, Any]


def sign_run(run_dir: Path, private_key_pem: str, verdict: ReadVerdict | None = None) -> str:
    """Sign the run with an Ed25519 PKCS8 PEM key into `signature.dsse.json`; return the key's id.

    `verdict` is a `verdict.json` still to be written; without it, the file is read.

    Raises EvidenceError when the verdict names another manifest, or the key cannot be used.
    """
    try:
        manifest = read_once(run_dir / MANIFEST)
        content = read_once(run_dir / VERDICT) if verdict is None else verdict.content
    except OSError as error:
        name = error.filename or run_dir
        raise EvidenceError(
            say("{name}: cannot be read ({error}); only a finished run can be signed", name=name, error=error.strerror)
        ) from error
    says = _parsed(content) if verdict is None else verdict.says
    if stale := _verdict_problems(manifest, says):
        raise EvidenceError(say("{stale}; only a finished run can be signed", stale=stale[0]))
    signer = signer_of(private_key_pem)
    files = {MANIFEST: manifest, VERDICT: content}
    statement = test_result(files, says, _digest(run_dir / "plan.json"))
    if summary := verification_result(says, statement["subject"]):
        write_atomic(run_dir / SUMMARY, enveloped(summary, signer))
    write_atomic(run_dir / SIGNATURE, enveloped(statement, signer))
    return str(signer.public_key.keyid)


def verify_run(run_dir: Path, public_key_pem: str | None, verdict: ReadVerdict | None = None) -> Verification:
    """Verify a run by its manifest and, where `public_key_pem` is given, by its signature.

    `verdict` is its `verdict.json` where that was read before; without it, the file is read.
    With a key, a run without signature is a problem. Raises EvidenceError only when the key cannot be used.
    """
    problems: list[Problem] = []
    read: dict[str, bytes | None] = {}
    for name in (MANIFEST, VERDICT, SIGNATURE):
        try:
            read[name] = verdict.content if verdict and name == VERDICT else read_once(run_dir / name)
        except OSError as error:
            read[name] = None
            if name != SIGNATURE:
                problems.append(
                    Problem(name, say("cannot be read ({error}); nothing can be verified", error=error.strerror))
                )
        except EvidenceError as error:
            read[name] = None
            problems.append(Problem(name, as_message(str(error)).each(lambda text: text.partition(": ")[2])))
    manifest, content, signature = read[MANIFEST], read[VERDICT], read[SIGNATURE]
    if manifest is not None:
        problems += verify_manifest(run_dir, manifest)
    if manifest is not None and content is not None:
        problems += _verdict_problems(manifest, verdict.says if verdict else _parsed(content))
    signed_by = None
    if public_key_pem is None and signature is None and _signature_expected(run_dir):
        problems.append(Problem(SIGNATURE, say("missing: the run's plan says that it is signed")))
    if public_key_pem is not None:
        key = public_key_of(public_key_pem)
        try:
            require_signature(signature, {MANIFEST: manifest, VERDICT: content}, key, TEST_RESULT)
            signed_by = key.keyid
        except EvidenceError as error:
            problems.append(Problem(SIGNATURE, str(error)))
        problems += _summary_problems(run_dir, {MANIFEST: manifest, VERDICT: content}, key)
    return Verification(not problems, tuple(problems), signed_by, content, signature is not None)


def _summary_problems(run_dir: Path, files: Mapping[str, bytes | None], key: SSlibKey) -> tuple[Problem, ...]:
    """What is wrong with the simple verification result; empty where there is none."""
    try:
        require_signature(read_once(run_dir / SUMMARY), files, key, VERIFICATION_RESULT)
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (Problem(SUMMARY, say("cannot be read ({error})", error=error.strerror)),)
    except EvidenceError as error:
        return (Problem(SUMMARY, str(error)),)
    return ()


def _signature_expected(run_dir: Path) -> bool:
    """Whether the plan, which the manifest covers, says that the run is signed at its end."""
    try:
        plan = read_json(run_dir / "plan.json")
    except (OSError, EvidenceError):
        return False  # a plan that is missing or altered is the manifest's problem
    return isinstance(plan, dict) and plan.get("signature_expected") is True


def key_id(public_key_pem: str) -> str:
    """The id of a public key. Raises EvidenceError if it cannot be used."""
    return str(public_key_of(public_key_pem).keyid)


def key_ids_in(run_dir: Path, name: str = SIGNATURE) -> tuple[str, ...]:
    """The ids of the keys that a run's signature names; they prove nothing."""
    try:
        return tuple(str(each["keyid"]) for each in read_json(run_dir / name)["signatures"])
    except (OSError, ValueError, KeyError, TypeError, EvidenceError):
        return ()


def public_half(private_key_pem: str) -> str:
    """The public key that belongs to a signing key, in PEM form. Raises EvidenceError if it cannot be used."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    public = private_key_of(private_key_pem).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _parsed(verdict: bytes) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json_in(verdict, VERDICT)
    except EvidenceError:
        return None


def _verdict_problems(manifest: bytes, verdict: Any) -> tuple[Problem, ...]:  # noqa: ANN401 - as above
    """Why the verdict does not belong to the manifest; empty if it does."""
    try:
        named = verdict["evidence"]["manifest_sha256"]
    except (KeyError, TypeError):
        return (Problem(VERDICT, say("missing evidence.manifest_sha256")),)
    if named != hashlib.sha256(manifest).hexdigest():
        return (Problem(VERDICT, say("evidence.manifest_sha256 is not the sum of {manifest}", manifest=MANIFEST)),)
    return ()


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_once(path)).hexdigest()
    except (OSError, EvidenceError):
        return None
