"""Statements of a run: the in-toto predicates that a policy reads.

The test result is https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md (0.1.0). Its result
is `PASSED` only for a verdict that passed without waiver, and `WARNED` for one that needed a waiver. What could not be
measured is `FAILED`: a policy that accepts warnings must not accept a release that was not measured.

A run that promoted or accepted has a simple verification result as well
(https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md, 0.1): its decision in one property, for a
policy that need not know what was tested.

Subjects of both are manifest, verdict, and what of the release is named by its digest: policies look for the image.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.release_name import digests_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATEMENT: Final = "https://in-toto.io/Statement/v1"
TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_RESULT: Final = "https://in-toto.io/attestation/svr/v0.1"
_ENDS_WELL: Final = ("promote", "accept")


def test_result(files: Mapping[str, bytes], verdict: Mapping[str, Any], plan_sha256: str | None) -> dict[str, Any]:
    """The test result of a verdict over the content of `files` by name; without a plan its identity is missing."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    ids: dict[str, list[str]] = {}
    for check in verdict["checks"]:
        ids.setdefault(check["outcome"], []).append(check["id"])
    waived = ids.get("waived", [])
    passed = "WARNED" if waived else "PASSED"
    # The first one is what policies take for the test's identity: the stage, by the plan that it had to carry out.
    configuration = [{"name": verdict["stage"], "digest": {"sha256": plan_sha256}}] if plan_sha256 else []
    configuration += [
        {"name": name, "digest": {"sha256": digest}} for name, digest in verdict.get("bound", {}).items() if digest
    ]
    return {
        "_type": STATEMENT,
        # Whoever reads the subjects into a table by name keeps the last one: our own, whatever a release is called.
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in (*digests_in(verdict.get("release") or {}), *sums.items())
        ],
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": passed if verdict["outcome"] == "pass" else "FAILED",
            "configuration": configuration,
            "passedTests": ids.get("pass", []),
            "warnedTests": waived,
            "failedTests": [*ids.get("fail", []), *ids.get("inconclusive", [])],
        },
    }


def verification_result(verdict: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The simple verification result of a verdict that promoted or accepted; None for any other."""
    if verdict["decision"] not in _ENDS_WELL or verdict["outcome"] != "pass":
        return None
    waived = any(check["outcome"] == "waived" for check in verdict["checks"])
    decided = f"OPSVERIFY_{verdict['stage']}_{verdict['decision']}".upper().replace("-", "_")
    return {
        "_type": STATEMENT,
        "subject": list(subjects),
        "predicateType": VERIFICATION_RESULT,
        "predicate": {
            "verifier": {"id": f"pkg:pypi/opsverify@{version('opsverify')}"},
            "timeCreated": verdict["finished_at"],
            "properties": [f"{decided}_WITH_WAIVERS" if waived else decided],
        },
    }
