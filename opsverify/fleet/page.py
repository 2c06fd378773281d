"""Page of a fleet: who is red and since when, what was delivered and counts for nothing, who is green."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.core.decision_words import DECISIONS, capitals
from opsverify.fleet.delivery import DeliveryState
from opsverify.fleet.merge import STATES
from opsverify.language.message import say, unpair
from opsverify.report.dates import date_time
from opsverify.report.document import Chapter, Document, Grid, GridRow, cell, document_html
from opsverify.report.model import Note, same

if TYPE_CHECKING:
    from collections.abc import Mapping

FLEET_PAGE: Final = "fleet.html"
_KINDS: Final = {"accept": "", "promote": "", "reject": "fail", "rollback": "fail", "hold": "inconclusive"}
_COLOURS: Final = {"accept": "accept", "promote": "accept", "reject": "reject", "rollback": "reject", "hold": "hold"}


def fleet_page(verdict: Mapping[str, Any], language: str) -> str:
    """The page of a fleet's verdict as HTML, shown in `language` at first."""
    return document_html(page_of(verdict, language))


def page_of(verdict: Mapping[str, Any], language: str) -> Document:
    """The page of a fleet's verdict."""
    red = [unit for unit in verdict["units"] if unit["red_since"]]
    green = [unit for unit in verdict["units"] if not unit["red_since"]]
    counted = say("{count} of {planned}", count=len(red), planned=verdict["planned"])
    chapters = [Chapter(same(say("Red: {counted}", counted=counted)), grids=(_red(red),))]
    if verdict["refused"]:
        notes = tuple(map(_refused, verdict["refused"]))
        chapters.append(Chapter(same(say("Delivered, and counts for nothing")), notes))
    counted = say("{count} of {planned}", count=len(green), planned=verdict["planned"])
    chapters.append(Chapter(same(say("Green: {counted}", counted=counted)), grids=(_green(green),)))
    chapters.append(Chapter(same(say("Sources")), tuple(_sources(verdict))))
    decision = str(verdict["decision"])
    return Document(
        title=same(say("Fleet: {stage}", stage=verdict["stage"])),
        name=verdict["fleet"],
        when=same(date_time(verdict["created_at"])),
        state=same(capitals(decision)),
        kind=_COLOURS[decision],
        language=language,
        chapters=tuple(chapters),
    )


def _red(units: list[Mapping[str, Any]]) -> Grid:
    heads = tuple(map(same, (say("target"), say("decision"), say("red since"), say("reason"))))
    first = sorted(units, key=lambda unit: (_KINDS[unit["decision"]] != "fail", unit["red_since"], unit["target"]))
    return Grid(heads, tuple(map(_red_row, first)))


def _red_row(unit: Mapping[str, Any]) -> GridRow:
    state = DeliveryState(unit["state"])
    word = DECISIONS[unit["decision"]] if state is DeliveryState.DELIVERED else STATES[state]
    cells = (unit["target"], cell(word), cell(date_time(unit["red_since"])), cell(unpair(dict(unit), "message")))
    return GridRow(cells, _KINDS[unit["decision"]])


def _green(units: list[Mapping[str, Any]]) -> Grid:
    heads = tuple(map(same, (say("target"), say("decision"), say("ended"))))
    return Grid(
        heads,
        tuple(
            GridRow((unit["target"], cell(DECISIONS[unit["decision"]]), cell(date_time(unit["finished_at"]))))
            for unit in units
        ),
    )


def _refused(entry: Mapping[str, Any]) -> Note:
    state = STATES[DeliveryState(entry["state"])]
    why = unpair(dict(entry), "message")
    named = say("{target}: {state}: {why}", target=entry["target"] or entry["folder"], state=state, why=why)
    return Note(same(named), "inconclusive")


def _sources(verdict: Mapping[str, Any]) -> list[Note]:
    previous = verdict["previous"]
    before = (
        say("{fleet} of {at}", fleet=previous["fleet"], at=date_time(previous["created_at"]))
        if previous
        else say("none: red since this fleet")
    )
    texts = (
        say("plan {sum}, opsverify {version}", sum=verdict["plan_sha256"], version=verdict["opsverify"]),
        say("fleet before this one: {before}", before=before),
        say("units delivered: {delivered} of {planned}", delivered=verdict["delivered"], planned=verdict["planned"]),
    )
    return [Note(same(text)) for text in texts]
