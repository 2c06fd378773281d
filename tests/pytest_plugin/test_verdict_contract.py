"""The contract of `verdict.json`, which other programs rely on: the same over any number of workers."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator

from opsverify.core.stages import STAGES, Decision, Outcome
from tests.pytest_plugin.contract import assert_keeps_contract, schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.pytest_plugin.suite import Suite

MANY = """
@described("t.per")
@pytest.mark.parametrize("number", range(8))
def test_per(check, number):
    check.measure("x", number / 1000, RATE, samples=1000 + number)

@described("t.boom")
def test_boom(check):
    raise ValueError("odd")

@described("t.bad", severity="sev1")
def test_bad(check):
    check.measure("x", 0.0231, RATE, samples=4120, of="of 4,120 requests failed")
    check.expect("version", "1.4", "1.5")

@described("t.absent")
@per("name", lambda target: (), what="https service")
def test_absent(check, name):
    pass

@described("t.waived")
def test_waived(check):
    check.measure("x", 0.5, RATE)
"""
WAIVER = '[[waivers]]\ncheck = "t.waived"\nowner = "me"\nreason = "mended on Monday"\nuntil = 2999-12-31\n'
SCHEMA: Mapping[str, Any] = cast("Mapping[str, Any]", schema().schema)
CHANGING = ("run_id", "started_at", "finished_at", "duration_s", "evidence", "chain")


def unchanging(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Leave out what differs from run to run."""
    if isinstance(value, dict):
        return {name: unchanging(item) for name, item in value.items() if name not in CHANGING}
    return [unchanging(item) for item in value] if isinstance(value, list) else value


def test_the_schema_is_one_and_knows_the_words() -> None:
    """The schema is valid, and its stages, outcomes and decisions are the library's."""
    Draft202012Validator.check_schema(schema().schema)
    properties = SCHEMA["properties"]
    assert properties["stage"]["enum"] == list(STAGES)
    assert properties["decision"]["enum"] == list(Decision)
    assert SCHEMA["$defs"]["check"]["properties"]["outcome"]["enum"] == list(Outcome)


def test_same_verdict_alone_and_over_workers(suite: Suite) -> None:
    """Outcomes, measured values, reasons and order are those of the plan, however the checks were spread."""
    suite.target(WAIVER)
    suite.checks("many", MANY)
    runs = [suite.run(way) for way in ("cli", "cli-n2")]
    for ran in runs:
        assert ran.code == 1, str(ran)
        assert ran.verdict is not None
        assert_keeps_contract(ran.verdict)
        assert ran.verdict["executed"] == 12
    alone, spread = (unchanging(ran.verdict) for ran in runs)
    assert alone == spread
    assert runs[0].outcomes["t.absent"] == "not_applicable"
    assert runs[0].outcomes["t.waived"] == "waived"
    bad = next(check for check in alone["checks"] if check["id"] == "t.bad")
    assert (bad["measured"], bad["limit"], bad["unit"], bad["samples"]) == (0.0231, "< 0.01", "ratio", 4120)


def test_evidence_is_complete_and_hashed(suite: Suite) -> None:
    """Each planned check has one Allure result, and the verdict carries release and the manifest's own sum."""
    suite.checks("many", MANY)
    ran = suite.run("cli-n2", [f"--release=image=judgment@sha256:{'0a' * 32},chart=judgment-1.4.2"])
    assert ran.folder is not None
    assert ran.verdict is not None
    assert_keeps_contract(ran.verdict)
    assert ran.verdict["release"] == {"image": f"judgment@sha256:{'0a' * 32}", "chart": "judgment-1.4.2"}
    assert json.loads((ran.folder / "plan.json").read_text())["release"] == ran.verdict["release"]
    manifest = (ran.folder / "manifest.sha256").read_bytes()
    assert ran.verdict["evidence"]["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    results = [json.loads(path.read_text()) for path in (ran.folder / "allure-results").glob("*-result.json")]
    assert len(results) == ran.verdict["planned"]
    for line in manifest.decode().splitlines():
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((ran.folder / name).read_bytes()).hexdigest() == digest


def test_the_schema_refuses(suite: Suite) -> None:
    """A verdict without a promised field, or with a decision that contradicts its outcome, is refused."""
    verdict = suite.run().verdict
    assert verdict is not None
    assert_keeps_contract(verdict)
    for field in SCHEMA["required"]:
        lacking = copy.deepcopy(verdict)
        del lacking[field]
        assert list(schema().iter_errors(lacking)), field
    assert list(schema().iter_errors({**verdict, "decision": "hold"}))
