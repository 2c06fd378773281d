"""JUnit XML of a run, as GitLab, GitHub's reporters and Jenkins read it: one suite for the stage, one case a check.

A check that failed is a `failure`, one that could not be measured an `error` of type `inconclusive` (never `skipped`,
which readers count as harmless), a part that the target does not have or a waived check is `skipped`. Readers drop a
case whose class and name another one has: the class begins with target and stage.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JUNIT: Final = "junit.xml"
RUN_ITSELF: Final = "the run itself"
_ELEMENT: Final = {
    "fail": ("failure", "outside its limit"),
    "inconclusive": ("error", "inconclusive"),
    "not_applicable": ("skipped", None),
    "waived": ("skipped", None),
}
_COUNTED: Final = {"failures": "fail", "errors": "inconclusive"}
_SKIPPED: Final = ("not_applicable", "waived")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def junit_xml(verdict: Mapping[str, Any], language: str) -> bytes:
    """The XML of a verdict (the content of `verdict.json`), its messages in `language`."""
    cases = [_case(verdict, check, language) for check in verdict["checks"]]
    cases += [_trouble(verdict, cause, language) for cause in verdict["causes"] if not cause["checks"]]
    counts = _counts(case.get("outcome", "") for case in cases)
    for case in cases:
        del case.attrib["outcome"]
    times = {"time": f"{_seconds(verdict):.3f}", "timestamp": verdict["started_at"].removesuffix("Z")}
    root = ET.Element("testsuites", {"name": f"{verdict['target']} {verdict['stage']}", **counts, **times})
    suite = ET.SubElement(root, "testsuite", {"name": f"{verdict['target']}.{verdict['stage']}", **counts, **times})
    properties = ET.SubElement(suite, "properties")
    for name in ("run_id", "stage", "target", "environment", "outcome", "decision", "exit_code"):
        ET.SubElement(properties, "property", {"name": name, "value": str(verdict[name])})
    for name, value in (verdict.get("release") or {}).items():
        ET.SubElement(properties, "property", {"name": f"release.{name}", "value": _text(value)})
    suite.extend(cases)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _case(verdict: Mapping[str, Any], check: Mapping[str, Any], language: str) -> ET.Element:
    family = check["id"].partition(".")[0]
    case = ET.Element(
        "testcase",
        {
            "classname": f"{verdict['target']}.{verdict['stage']}.{family}",
            "name": _text(check["id"]),
            "time": f"{check['duration_s']:.3f}",
            "outcome": check["outcome"],
        },
    )
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("title", check["title"][language]),
        ("severity", check["severity"]),
        ("owner", check["owner"]),
        ("runbook", ", ".join(check["lines"] or check["runbook"])),
        ("outcome", check["outcome"]),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": _text(value)})
    _add_outcome(case, check["outcome"], _message(check, language))
    return case


def _trouble(verdict: Mapping[str, Any], cause: Mapping[str, Any], language: str) -> ET.Element:
    """A case for what keeps the run as a whole from passing."""
    message = _message(cause, language)
    case = ET.Element(
        "testcase",
        {
            "classname": f"{verdict['target']}.{verdict['stage']}",
            "name": _text(f"{RUN_ITSELF}: {cause['message'][:80]}"),
            "time": "0.000",
            "outcome": cause["outcome"],
        },
    )
    _add_outcome(case, cause["outcome"], message)
    return case


def _add_outcome(case: ET.Element, outcome: str, message: str) -> None:
    if outcome not in _ELEMENT:
        return
    name, kind = _ELEMENT[outcome]
    element = ET.SubElement(case, name, {"message": _text(message), **({"type": kind} if kind else {})})
    if kind:
        element.text = _text(message)


def _message(part: Mapping[str, Any], language: str) -> str:
    return str((part.get("message_ko") if language == "ko" else None) or part["message"])


def _counts(outcomes: Iterable[str]) -> dict[str, str]:
    found = list(outcomes)
    skipped = sum(found.count(outcome) for outcome in _SKIPPED)
    counted = {name: str(found.count(outcome)) for name, outcome in _COUNTED.items()}
    return {"tests": str(len(found)), **counted, "skipped": str(skipped)}


def _seconds(verdict: Mapping[str, Any]) -> float:
    began, ended = (dt.datetime.fromisoformat(verdict[name]) for name in ("started_at", "finished_at"))
    return max(0.0, (ended - began).total_seconds())


def _text(text: str) -> str:
    """`text` without what no XML document may hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
