"""JUnit XML of a run, as GitLab, GitHub's reporters and Jenkins read it: one suite for the stage, one case a check.

A check that failed is a `failure`, one that could not be measured an `error` of type `inconclusive` (never `skipped`,
which readers count as harmless), a part that the target does not have or a waived check is `skipped`. Readers drop a
case whose class and name another one has: the class begins with target and stage.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
_NOT_PLAIN: Final = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"}
)


def junit_xml(verdict: Mapping[str, Any], language: str) -> bytes:
    """The XML of a verdict (the content of `verdict.json`), its messages in `language`."""
    target, stage = verdict["target"], verdict["stage"]
    troubles = [cause for cause in verdict["causes"] if not cause["checks"]]
    counts = _counts(part["outcome"] for part in (*verdict["checks"], *troubles))
    times = {"time": f"{_seconds(verdict):.3f}", "timestamp": verdict["started_at"].removesuffix("Z")}
    known = {
        **{name: verdict[name] for name in ("run_id", "stage", "target", "environment", "outcome", "decision")},
        "exit_code": verdict["exit_code"],
        **{f"release.{name}": value for name, value in (verdict.get("release") or {}).items()},
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites{_attributes(name=f'{target} {stage}', **counts, **times)}>",
        f"  <testsuite{_attributes(name=f'{target}.{stage}', **counts, **times)}>",
        *_properties("    ", known),
        *(line for check in verdict["checks"] for line in _case(verdict, check, language)),
        *(line for cause in troubles for line in _trouble(verdict, cause, language)),
        "  </testsuite>",
        "</testsuites>",
        "",
    ]
    return "\n".join(lines).encode()


def _case(verdict: Mapping[str, Any], check: Mapping[str, Any], language: str) -> Iterator[str]:
    family = check["id"].partition(".")[0]
    attributes = _attributes(
        classname=f"{verdict['target']}.{verdict['stage']}.{family}",
        name=check["id"],
        time=f"{check['duration_s']:.3f}",
    )
    yield f"    <testcase{attributes}>"
    known = {
        "title": check["title"][language],
        "severity": check["severity"],
        "owner": check["owner"],
        "runbook": ", ".join(check["lines"] or check["runbook"]),
        "outcome": check["outcome"],
    }
    yield from _properties("      ", known)
    yield from _outcome(check["outcome"], _message(check, language))
    yield "    </testcase>"


def _trouble(verdict: Mapping[str, Any], cause: Mapping[str, Any], language: str) -> Iterator[str]:
    """A case for what keeps the run as a whole from passing."""
    attributes = _attributes(
        classname=f"{verdict['target']}.{verdict['stage']}",
        name=f"{RUN_ITSELF}: {cause['message'][:80]}",
        time="0.000",
    )
    yield f"    <testcase{attributes}>"
    yield from _outcome(cause["outcome"], _message(cause, language))
    yield "    </testcase>"


def _outcome(outcome: str, message: str) -> Iterator[str]:
    if outcome not in _ELEMENT:
        return
    name, kind = _ELEMENT[outcome]
    if kind is None:
        yield f"      <{name}{_attributes(message=message)} />"
    else:
        yield f"      <{name}{_attributes(message=message, type=kind)}>{escape(_text(message))}</{name}>"


def _properties(indent: str, known: Mapping[str, object]) -> Iterator[str]:
    yield f"{indent}<properties>"
    for name, value in known.items():
        yield f"{indent}  <property{_attributes(name=name, value=str(value))} />"
    yield f"{indent}</properties>"


def _attributes(**values: str) -> str:
    # By hand: a run has thousands, for each of which ElementTree searches namespaces and escapes in seven steps.
    return "".join(
        f' {name}="{value if _NOT_PLAIN.search(value) is None else _text(value).translate(_ESCAPES)}"'
        for name, value in values.items()
    )


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
