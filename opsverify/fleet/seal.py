"""Seal of a fleet's verdict: a DSSE envelope around an in-toto test result of plan and verdict, as a run has one.

Its tests are the targets. The verdict names each unit's run by the sum of its own verdict, so that the signature covers
what was decided of every unit; the units' evidence has seals of its own.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from opsverify.evidence.dsse import enveloped, signer_of
from opsverify.evidence.files import write_atomic
from opsverify.evidence.once_read import json_in
from opsverify.evidence.statement import STATEMENT, TEST_RESULT
from opsverify.fleet.plan import FLEET_PLAN
from opsverify.fleet.previous import FLEET_VERDICT

if TYPE_CHECKING:
    from pathlib import Path

FLEET_SIGNATURE: Final = "fleet-signature.dsse.json"


def seal_fleet(place: Path, plan: bytes, verdict: dict[str, Any], signing_key: str | None) -> None:
    """Write plan, signature (where there is a key) and verdict, in this order. Raises EvidenceError.

    A signature of an earlier merge goes first: it is of other bytes.
    """
    content = dumps({**verdict, "evidence": {"signed": signing_key is not None}}).encode()
    signature = None if signing_key is None else enveloped(fleet_result(plan, content), signer_of(signing_key))
    write_atomic(place / FLEET_PLAN, plan)
    (place / FLEET_SIGNATURE).unlink(missing_ok=True)
    if signature is not None:
        write_atomic(place / FLEET_SIGNATURE, signature)
    write_atomic(place / FLEET_VERDICT, content)


def dumps(verdict: dict[str, Any]) -> str:
    """The text of `fleet-verdict.json`."""
    return json.dumps(verdict, ensure_ascii=False, indent=1) + "\n"


def fleet_result(plan: bytes, verdict: bytes) -> dict[str, Any]:
    """The test result of a fleet's verdict: `PASSED` where every unit did, `WARNED` where one needed a waiver."""
    content = json_in(verdict, FLEET_VERDICT)
    sums = {name: hashlib.sha256(each).hexdigest() for name, each in ((FLEET_PLAN, plan), (FLEET_VERDICT, verdict))}
    red = [unit["target"] for unit in content["units"] if unit["red_since"]]
    waived = [unit["target"] for unit in content["units"] if not unit["red_since"] and unit["waived"]]
    named = {*red, *waived}
    passed = "WARNED" if waived else "PASSED"
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sums.items()],
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": passed if content["outcome"] == "pass" else "FAILED",
            "configuration": [{"name": content["stage"], "digest": {"sha256": sums[FLEET_PLAN]}}],
            "passedTests": [unit["target"] for unit in content["units"] if unit["target"] not in named],
            "warnedTests": waived,
            "failedTests": red,
        },
    }
