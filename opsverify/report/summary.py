"""Summary at the top of the report: the decision and its reasons, above all details."""

from __future__ import annotations

from typing import Any, Final

from opsverify.errors import EvidenceError
from opsverify.report.template import fill

_SHOWN_REASONS: Final = 10
_COLOURS: Final = {"promote": "#15803d", "accept": "#15803d", "hold": "#a16207"}
_WORST_COLOUR: Final = "#b91c1c"
_WORDS: Final = {
    "ko": {
        "promote": "승격",
        "rollback": "롤백",
        "hold": "보류",
        "accept": "승인",
        "reject": "거부",
        "executed": "계획 {planned}건 중 {executed}건 실행",
        "more": "외 {}건: verdict.json 참조",
    },
    "en": {
        "promote": "promote",
        "rollback": "roll back",
        "hold": "hold",
        "accept": "accept",
        "reject": "reject",
        "executed": "{executed} of {planned} planned checks executed",
        "more": "{} more: see verdict.json",
    },
}
_PLACE: Final = '<div id="app"></div>'


def title_of(verdict: dict[str, Any]) -> str:
    """Return the report's name: stage, target, decision, run id."""
    return f"{verdict['stage']} · {verdict['target']} · {verdict['decision']} · {verdict['run_id']}"


def add_summary(html: str, verdict: dict[str, Any], language: str) -> str:
    """Put the summary in `ko` or `en` above Allure's page. Raises EvidenceError without one app element."""
    if html.count(_PLACE) != 1:
        raise EvidenceError(
            "report.html: page of Allure has no single app element; use the Allure version of the lock file"
        )
    page = html.replace(_PLACE, f"{_summary(verdict, _WORDS[language])}\n    {_PLACE}")
    return page.replace('<html dir="ltr" lang="en">', f'<html dir="ltr" lang="{language}">', 1)


def _summary(verdict: dict[str, Any], words: dict[str, str]) -> str:
    decision = str(verdict["decision"])
    reasons = [str(reason) for reason in verdict["reasons"]]
    shown = reasons[:_SHOWN_REASONS]
    if len(reasons) > len(shown):
        shown.append(words["more"].format(len(reasons) - len(shown)))
    facts = (
        f"{verdict['stage']} · {verdict['target']}",
        str(verdict["outcome"]),
        words["executed"].format(executed=verdict.get("executed", "?"), planned=verdict.get("planned", "?")),
        str(verdict["run_id"]),
    )
    return fill(
        "summary.html.j2",
        colour=_COLOURS.get(decision, _WORST_COLOUR),
        decision=decision,
        word=words.get(decision, decision),
        facts=facts,
        reasons=shown,
    )
