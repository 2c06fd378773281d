"""Waivers of a target: which end soon, have ended, hide nothing or hide something, and how many there are at once."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.core.stages import Outcome, nearest
from opsverify.language.message import Message, join, say

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from opsverify.config.model import Target
    from opsverify.config.waivers import Waiver
    from opsverify.core.plan import Plan
    from opsverify.core.results import CheckResult

NOTICE: Final = dt.timedelta(days=7)
"""How long before its end a waiver is pointed out."""


def too_many(target: Target, today: dt.date) -> Message | None:
    """Why the run holds: more waivers in force at once than `limits.waivers`; None where there are not."""
    limit = target.limits.waivers
    in_force = [waiver for waiver in target.waivers if today <= waiver.until]
    if limit.holds(len(in_force)):
        return None
    return say(
        "{count} waivers are in force at once, limit {limit}: {checks}; mend what they hide, or end some",
        count=len(in_force),
        limit=limit.text,
        checks=", ".join(waiver.check for waiver in in_force),
    )


def waiver_notes(target: Target, plan: Plan, results: Iterable[CheckResult], today: dt.date) -> tuple[Message, ...]:
    """What a reader has to know of the waivers of this plan's checks."""
    severities = {check.id: check.severity for check in plan.checks}
    outcomes = {result.id: result.outcome for result in results}
    return tuple(
        note
        for waiver in target.waivers
        if waiver.check in severities
        for note in _notes(waiver, target, severities[waiver.check], outcomes.get(waiver.check), today)
    )


def waivers_of_no_check(
    target: Target, known: Collection[str], unrolled: Collection[str] = ()
) -> Iterator[tuple[str, Message]]:
    """Waivers that name no check: the key of each, and what it names with the nearest of the `known` ids.

    `unrolled` has checks whose rows are not worked out here (those of other stages): any row of them will do.
    """
    names = sorted({*known, *unrolled})
    for number, waiver in enumerate(target.waivers):
        if waiver.check not in known and waiver.check.partition("[")[0] not in unrolled:
            text = say("no check {name!r}{hint}", name=waiver.check, hint=nearest(waiver.check, names))
            yield f"waivers[{number}].check", text


def _notes(waiver: Waiver, target: Target, severity: str, outcome: Outcome | None, today: dt.date) -> Iterator[Message]:
    what = say("waiver of {check} ({owner})", check=waiver.check, owner=waiver.owner)
    if today > waiver.until:
        yield join("", (what, say(" ended on {until}: the check decides again; remove it", until=waiver.until)))
        return
    if severity == "sev1" and not target.sev1_waivers_allowed:
        yield join("", (what, say(" has no effect: the check is sev1 (sev1_waivers_allowed)")))
        return
    if outcome is Outcome.PASS:
        yield join("", (what, say(" hides nothing: the check passes; remove it")))
    if waiver.until - today < NOTICE:
        yield join("", (what, say(" ends on {until}; then the check decides again", until=waiver.until)))
    if waiver.ticket is None:
        yield join("", (what, say(' names no ticket; add ticket = "..."')))
