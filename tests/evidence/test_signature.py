"""A signature vouches for exactly one verdict over exactly one set of evidence."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from opsverify.errors import EvidenceError
from opsverify.evidence.signature import ReadVerdict, sign_run, verify_run
from tests.support.finished_run import finish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def pems(key: Key) -> tuple[str, str]:
    """Private and public half as PEM text."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


PRIVATE, PUBLIC = pems(ed25519.Ed25519PrivateKey.generate())
_, FOREIGN = pems(ed25519.Ed25519PrivateKey.generate())
EC_PRIVATE, EC_PUBLIC = pems(ec.generate_private_key(ec.SECP256R1()))


def statement(run_dir: Path) -> dict[str, Any]:
    """Return what was signed."""
    envelope = json.loads((run_dir / "signature.dsse.json").read_text())
    return dict(json.loads(base64.b64decode(envelope["payload"])))


def test_signed_run_verifies(run_dir: Path) -> None:
    """The key that signed is named, and the signature itself does not disturb the manifest."""
    keyid = sign_run(run_dir, PRIVATE)
    verification = verify_run(run_dir, PUBLIC)
    assert (verification.ok, verification.problems, verification.signed_by) == (True, (), keyid)


def test_verdict_is_signed_before_it_is_written(run_dir: Path) -> None:
    """The verdict can be the last file of a run and still be covered by the signature."""
    content = (run_dir / "verdict.json").read_bytes()
    (run_dir / "verdict.json").unlink()
    sign_run(run_dir, PRIVATE, ReadVerdict(content, json.loads(content)))
    assert not verify_run(run_dir, PUBLIC).ok
    (run_dir / "verdict.json").write_bytes(content)
    assert verify_run(run_dir, PUBLIC).ok


def test_statement_is_an_in_toto_test_result(run_dir: Path) -> None:
    """Type, subjects and required fields are those of the in-toto specification."""
    sign_run(run_dir, PRIVATE)
    signed = statement(run_dir)
    assert signed["_type"] == "https://in-toto.io/Statement/v1"
    assert signed["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert [subject["name"] for subject in signed["subject"]] == ["manifest.sha256", "verdict.json"]
    predicate = signed["predicate"]
    assert predicate["configuration"][0]["name"] == "prod-canary"  # the identity that policies read
    assert (predicate["result"], predicate["passedTests"]) == ("FAILED", ["health.redis"])
    assert predicate["failedTests"] == ["canary.error_rate", "canary.llm_parse"]


@pytest.mark.parametrize(
    ("outcome", "checks", "result"),
    [
        ("pass", ["pass", "not_applicable"], "PASSED"),
        ("pass", ["pass", "waived"], "WARNED"),
        ("inconclusive", ["pass", "inconclusive"], "FAILED"),
        ("fail", ["pass", "fail"], "FAILED"),
    ],
)
def test_only_a_pass_passes(run_dir: Path, outcome: str, checks: list[str], result: str) -> None:
    """A policy that accepts PASSED and WARNED never lets an unmeasured release through."""
    rows = [{"id": f"check.{number}", "outcome": check} for number, check in enumerate(checks)]
    finish(run_dir, outcome=outcome, checks=rows)
    sign_run(run_dir, PRIVATE)
    assert statement(run_dir)["predicate"]["result"] == result


def _new_verdict(run: Path) -> None:
    finish(run, decision="promote")


def _new_evidence(run: Path) -> None:
    (run / "plan.json").write_text("{}")
    finish(run)


def _no_signature(run: Path) -> None:
    (run / "signature.dsse.json").unlink()


def _not_an_envelope(run: Path) -> None:
    (run / "signature.dsse.json").write_text('{"payload": 1, "payloadType": 2, "signatures": 3}')


def _altered_payload(run: Path) -> None:
    path = run / "signature.dsse.json"
    envelope = json.loads(path.read_text())
    envelope["payload"] = base64.b64encode(b"{}").decode()
    path.write_text(json.dumps(envelope))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_new_verdict, "verdict.json is not the file that was signed"),
        (_new_evidence, "manifest.sha256 is not the file that was signed"),
        (_no_signature, "the run is not signed"),
        (_not_an_envelope, "not a DSSE envelope"),
        (_altered_payload, "no valid signature"),
    ],
)
def test_change_after_signing_is_named(run_dir: Path, change: Callable[[Path], None], expected: str) -> None:
    """Whoever changes the run consistently still cannot sign it."""
    sign_run(run_dir, PRIVATE)
    change(run_dir)
    verification = verify_run(run_dir, PUBLIC)
    assert not verification.ok
    assert verification.signed_by is None
    assert [str(problem) for problem in verification.problems if expected in str(problem)]


def test_foreign_key_does_not_verify(run_dir: Path) -> None:
    """Another key's owner did not sign this run."""
    sign_run(run_dir, PRIVATE)
    assert not verify_run(run_dir, FOREIGN).ok


def test_without_key_the_manifest_is_verified(run_dir: Path) -> None:
    """A run without signature can be verified for completeness, and is then signed by nobody."""
    assert verify_run(run_dir, None).ok
    (run_dir / "plan.json").unlink()
    verification = verify_run(run_dir, None)
    assert (verification.ok, verification.signed_by) == (False, None)


@pytest.mark.parametrize("verdict", ["", "[]", "{}", '{"evidence": {"manifest_sha256": "0"}}'])
def test_verdict_must_name_its_manifest(run_dir: Path, verdict: str) -> None:
    """A verdict that does not go with the evidence is neither signed nor verified."""
    (run_dir / "verdict.json").write_text(verdict)
    assert not verify_run(run_dir, None).ok
    with pytest.raises(EvidenceError, match="only a finished run can be signed"):
        sign_run(run_dir, PRIVATE)


@pytest.mark.parametrize("key", ["not a key", EC_PRIVATE], ids=["garbage", "ec"])
def test_unusable_signing_key_is_not_quoted(run_dir: Path, key: str) -> None:
    """The message says what was expected and shows nothing of the key."""
    with pytest.raises(EvidenceError, match="expected an unencrypted Ed25519 key") as caught:
        sign_run(run_dir, key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["not a key", EC_PUBLIC], ids=["garbage", "ec"])
def test_unusable_public_key(run_dir: Path, key: str) -> None:
    """A wrong public key is the caller's error, not a problem of the run."""
    with pytest.raises(EvidenceError, match="expected an Ed25519 key"):
        verify_run(run_dir, key)


RELEASE = {"image": f"registry.example/judgment@sha256:{'ab' * 32}", "chart": "judgment-1.4.2"}


def test_the_image_is_a_subject(run_dir: Path) -> None:
    """Conforma denies a test result of which no subject is the image; what has no digest is no subject."""
    finish(run_dir, release=RELEASE)
    sign_run(run_dir, PRIVATE)
    subjects = statement(run_dir)["subject"]
    assert subjects[0] == {"name": "registry.example/judgment", "digest": {"sha256": "ab" * 32}}
    assert [subject["name"] for subject in subjects[1:]] == ["manifest.sha256", "verdict.json"]
    assert verify_run(run_dir, PUBLIC).ok


def test_no_release_takes_the_place_of_the_verdict(run_dir: Path) -> None:
    """An image that is called like one of our own files changes nothing of what is verified."""
    finish(run_dir, release={"image": f"verdict.json@sha256:{'ab' * 32}"})
    sign_run(run_dir, PRIVATE)
    assert verify_run(run_dir, PUBLIC).ok
    _new_verdict(run_dir)
    assert not verify_run(run_dir, PUBLIC).ok


def summary(run_dir: Path) -> dict[str, Any]:
    """Return the simple verification result that was signed."""
    envelope = json.loads((run_dir / "signature.svr.dsse.json").read_text())
    return dict(json.loads(base64.b64decode(envelope["payload"])))


@pytest.mark.parametrize(
    ("decision", "check", "expected"),
    [
        ("promote", "pass", ["OPSVERIFY_PROD_CANARY_PROMOTE"]),
        ("promote", "waived", ["OPSVERIFY_PROD_CANARY_PROMOTE_WITH_WAIVERS"]),
        ("rollback", "fail", None),
        ("hold", "inconclusive", None),
        ("promote", "fail", None),  # a verdict that contradicts itself
    ],
)
def test_only_what_ends_well_has_a_verification_result(
    run_dir: Path, decision: str, check: str, expected: list[str] | None
) -> None:
    """A simple verification result names passed properties only; whoever finds none must not go on."""
    outcome = {"fail": "fail", "inconclusive": "inconclusive"}.get(check, "pass")
    finish(run_dir, decision=decision, outcome=outcome, checks=[{"id": "a.b", "outcome": check}], release=RELEASE)
    sign_run(run_dir, PRIVATE)
    if expected is None:
        assert not (run_dir / "signature.svr.dsse.json").exists()
        return
    signed = summary(run_dir)
    assert signed["predicateType"] == "https://in-toto.io/attestation/svr/v0.1"
    assert signed["predicate"]["properties"] == expected
    assert set(signed["predicate"]) == {"verifier", "timeCreated", "properties"}
    assert signed["subject"] == statement(run_dir)["subject"]
    assert verify_run(run_dir, PUBLIC).ok


def test_a_verification_result_of_another_run_is_named(run_dir: Path) -> None:
    """Copied from a run that was promoted into one that was not, it is a problem; so is one that nobody signed."""
    finish(run_dir, decision="promote", outcome="pass", checks=[{"id": "a.b", "outcome": "pass"}])
    sign_run(run_dir, PRIVATE)
    kept = (run_dir / "signature.svr.dsse.json").read_bytes()
    (run_dir / "signature.svr.dsse.json").unlink()
    finish(run_dir)
    sign_run(run_dir, PRIVATE)
    for content, what in ((kept, "is not the file that was signed"), (b"{}", "not a DSSE envelope")):
        (run_dir / "signature.svr.dsse.json").write_bytes(content)
        (problem,) = verify_run(run_dir, PUBLIC).problems
        assert problem.path == "signature.svr.dsse.json"
        assert what in problem.what
