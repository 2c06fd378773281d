"""Summary at the top of the report: the decision and its reasons, above all details."""

from __future__ import annotations

from typing import Any, Final

from opsverify.core.causes import Cause
from opsverify.core.decision_words import DECISIONS
from opsverify.errors import EvidenceError
from opsverify.language.message import Message, as_message, say
from opsverify.report.dates import date_time
from opsverify.report.template import fill

_SHOWN_REASONS: Final = 10
_COLOURS: Final = {"promote": "#15803d", "accept": "#15803d", "hold": "#a16207"}
_WORST_COLOUR: Final = "#b91c1c"
TAGS: Final = {"fail": say("failed"), "inconclusive": say("not measured")}
"""What a cause does to its checks."""
TAG_COLOURS: Final = {"fail": "#b91c1c", "inconclusive": "#a16207"}
_PLACE: Final = '<div id="app"></div>'


def title_of(verdict: dict[str, Any]) -> str:
    """Return the report's name: stage, target, decision, run id."""
    return f"{verdict['stage']} · {verdict['target']} · {verdict['decision']} · {verdict['run_id']}"


def add_summary(html: str, verdict: dict[str, Any], language: str, window: str = "") -> str:
    """Put the summary in `ko` or `en` above Allure's page, and below it `window`, the plots of a canary as HTML.

    Raises EvidenceError without one app element.
    """
    if html.count(_PLACE) != 1:
        raise EvidenceError(
            say("report.html: page of Allure has no single app element; use the Allure version of the lock file")
        )
    page = html.replace(_PLACE, f"{_summary(verdict, language)}\n    {window}{_PLACE}")
    return page.replace('<html dir="ltr" lang="en">', f'<html dir="ltr" lang="{language}">', 1)


def reasons_of(verdict: dict[str, Any]) -> list[tuple[str, Message]]:
    """The reasons of a verdict, each with the outcome of its checks (empty in a verdict of an older version)."""
    causes = [Cause.from_dict(raw) for raw in verdict.get("causes", ())]
    if causes:
        return [(cause.outcome.value, cause.text) for cause in causes]
    return [("", as_message(str(reason))) for reason in verdict.get("reasons", ())]


def _summary(verdict: dict[str, Any], language: str) -> str:
    decision = str(verdict["decision"])
    reasons = reasons_of(verdict)
    shown = [(TAGS.get(outcome), TAG_COLOURS.get(outcome), text.text(language)) for outcome, text in reasons]
    rest = len(reasons) - _SHOWN_REASONS
    word = DECISIONS.get(decision, as_message(decision)).text(language)
    executed = say(
        "{executed} of {planned} planned checks executed",
        executed=verdict.get("executed", "?"),
        planned=verdict.get("planned", "?"),
    )
    began = verdict.get("started_at")
    facts = (
        f"{verdict['stage']} · {verdict['target']}",
        executed.text(language),
        date_time(began).text(language) if began else "",
        str(verdict["run_id"]),
    )
    return fill(
        "summary.html.j2",
        colour=_COLOURS.get(decision, _WORST_COLOUR),
        word=word,
        code="" if word.replace(" ", "") == decision else decision,
        facts=tuple(fact for fact in facts if fact),
        reasons=[(tag and tag.text(language), colour, text) for tag, colour, text in shown[:_SHOWN_REASONS]],
        more=say("{count} more: see verdict.json", count=rest).text(language) if rest > 0 else "",
    )
