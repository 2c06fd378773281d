"""JUnit XML of a run: what pipelines read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from opsverify.evidence.junit import junit_xml
from tests.pytest_plugin.suite import SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pytest_plugin.suite import Suite

OUTCOMES = ("pass", "fail", "inconclusive", "not_applicable", "waived")
MANY = """
@described("t.bad")
def test_bad(check):
    check.measure("rate", 0.0231, RATE)

@described("t.unknown")
def test_unknown(check):
    raise Inconclusive("no data \\x1b[2J" + os.environ["PLANTED_SECRET"])
"""


def _parsed(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - our own


def _check(outcome: str, message: str = "why <&>") -> dict[str, Any]:
    return {
        "id": f"t.{outcome}", "title": {"ko": "점검", "en": "A check"}, "runbook": ["1"], "lines": ["1-daily/llm"],
        "severity": "sev1", "owner": "me", "outcome": outcome, "message": message, "message_ko": f"까닭: {message}",
        "duration_s": 1.5,
    }  # fmt: skip


def _verdict(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {
        "run_id": "r", "stage": "staging", "target": "a", "environment": "staging", "outcome": "fail",
        "decision": "rollback", "exit_code": 1, "started_at": "2026-11-22T20:12:33.120Z",
        "finished_at": "2026-11-22T20:12:35.620Z", "causes": [],
        "checks": [_check(each) for each in OUTCOMES], **changes,
    }  # fmt: skip


def test_each_outcome_is_what_readers_take_it_for() -> None:
    """Hold is an error, never skipped; counts are those of the cases; numbers and properties are there."""
    suite = _parsed(junit_xml(_verdict(), "en"))[0]
    cases = {
        case.get("name"): [child.tag for child in case if child.tag != "properties"] for case in suite.iter("testcase")
    }
    assert cases == {
        "t.pass": [], "t.fail": ["failure"], "t.inconclusive": ["error"], "t.not_applicable": ["skipped"],
        "t.waived": ["skipped"],
    }  # fmt: skip
    counted = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")}
    assert counted == {
        "name": "a.staging", "tests": "5", "failures": "1", "errors": "1", "skipped": "2", "time": "2.500",
    }  # fmt: skip
    error = suite.find(".//error")
    assert error is not None
    assert (error.get("type"), error.get("message"), error.text) == ("inconclusive", "why <&>", "why <&>")
    assert {each.get("name") for each in suite.findall("properties/property")} >= {"decision", "run_id", "environment"}


def test_two_targets_never_hide_each_other() -> None:
    """Readers drop a case whose class and name are known: the class has the target and the stage."""
    names = {
        (case.get("classname"), case.get("name"))
        for target in ("a", "b")
        for case in _parsed(junit_xml(_verdict(target=target), "en")).iter("testcase")
    }
    assert len(names) == 2 * len(OUTCOMES)


def test_a_fault_of_the_run_is_a_case() -> None:
    """Where every check passed and the run holds, the page is not green."""
    cause = {"outcome": "inconclusive", "message": "the run was interrupted", "message_ko": "실행 중단", "checks": []}
    suite = _parsed(junit_xml(_verdict(checks=[_check("pass")], causes=[cause]), "ko"))[0]
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    case = suite.findall("testcase")[-1]
    assert (case.get("name"), case[0].get("message")) == ("the run itself: the run was interrupted", "실행 중단")


@pytest.mark.parametrize("character", ["\0", "\x1b", "\ufffe", "\ud800"])
def test_every_text_makes_a_document(character: str) -> None:
    """What no XML may hold is replaced."""
    xml = junit_xml(_verdict(checks=[_check("fail", f"a{character}b")]), "en")
    assert _parsed(xml).find(".//failure") is not None


@pytest.mark.parametrize("way", ["cli", "pytest"])
def test_written_with_the_run_and_where_it_is_wanted(suite: Suite, tmp_path: Path, way: str) -> None:
    """The same bytes in the folder (in the manifest) and in the file asked for; no secret, whoever put it there."""
    suite.checks("many", MANY)
    wanted = tmp_path / "new" / "junit.xml"
    ran = suite.run(way, (f"--junitxml={wanted}",))
    assert ran.code == 1, str(ran)
    assert ran.folder is not None
    content = wanted.read_bytes()
    assert content == (ran.folder / "junit.xml").read_bytes()
    assert "  junit.xml\n" in (ran.folder / "manifest.sha256").read_text()
    root = _parsed(content)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    assert SECRET not in ET.tostring(root, encoding="unicode")


def test_a_copy_that_cannot_be_written_changes_no_verdict(suite: Suite) -> None:
    """The verdict is sealed before: it stands, with a warning."""
    ran = suite.run("cli", ("--junitxml=/proc/none/junit.xml",))
    assert ran.code == 0, str(ran)
    assert "/proc/none" in ran.err
    assert "stands" in ran.err
