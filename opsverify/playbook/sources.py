"""Sources of a remedy: each says by itself whether the remedy is in force, and only all of them together count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.limits import Limit
from opsverify.metrics.signal_meaning import LOOKED_BACK
from opsverify.playbook.observation import instances_of, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.model import Target
    from opsverify.config.playbook import Source
    from opsverify.language.message import Message
    from opsverify.playbook.observation import IncidentWindow


@dataclass(frozen=True)
class Judged:
    """What one source says: whether the remedy is in force (None: it says nothing), and its words."""

    holds: bool | None
    text: str
    reported: bool = False


def claimed(sources: Sequence[Judged]) -> bool:
    """Whether the platform reports the remedy, whatever the other sources say."""
    return any(source.reported and source.holds for source in sources)


def judge(
    source: Source,
    target: Target,
    window: IncidentWindow,
    number: Callable[[Source], tuple[float, str]],
    value: Callable[[str], str],
) -> Judged:
    """Judge one source over the window; `number` runs its query or counter, `value` a statement."""
    try:
        if source.field is not None:
            return _reported(source, target, window, value)
        found, detail = number(source)
    except Inconclusive as error:
        return Judged(None, say("{what} not measured: {error}", what=source.text, error=error))
    compared = _compared(source, found, window.seconds, detail)
    if compared.holds and source.counter in window.unproven:
        return Judged(None, matched_nothing(source.text, str(source.counter)))
    return compared


def matched_nothing(what: str, selector: str) -> Message:
    """Why a 0 proves nothing: its selector may be a misspelt one."""
    return say(
        "{what}: {selector} has matched nothing in {back}, a 0 of it proves nothing; correct the selector",
        what=what,
        selector=selector,
        back=LOOKED_BACK,
    )


def _compared(source: Source, found: float, seconds: float, detail: str = "") -> Judged:
    limit = Limit.parse(str(source.limit), "count")
    measured = found / seconds if source.per_second else found
    text = say(
        "{what} {measured:g}{detail}, limit {limit}",
        what=source.text,
        measured=round(measured, 2),
        detail=detail,
        limit=limit.text,
    )
    return Judged(limit.holds(measured), text)


def _reported(source: Source, target: Target, window: IncidentWindow, value: Callable[[str], str]) -> Judged:
    """At every instance, when the window begins and when it ends."""
    growth = 0.0
    expected = value(source.same_as) if source.same_as is not None else source.value
    for instance in instances_of(source, target):
        found = [reported.get(key_of(source, instance)) for reported in window.reported]
        if any(each is None for each in found):
            return Judged(
                None,
                say(
                    "{what}: {instance} reports none at {path}; check the path and field of the source",
                    what=source.text,
                    instance=instance,
                    path=source.path,
                ),
            )
        if source.limit is not None:
            growth += float(str(found[1])) - float(str(found[0]))
            continue
        other = next((each for each in found if each != expected), None)
        if other is not None:
            text = say(
                "{what} of {instance} is {found}, expected {expected}",
                what=source.text,
                instance=instance,
                found=other,
                expected=expected,
            )
            return Judged(False, text, reported=True)  # noqa: FBT003 - the value
    if source.limit is not None:
        return _compared(source, growth, window.seconds)
    return Judged(True, say("{what}: {expected}, as expected", what=source.text, expected=expected), reported=True)  # noqa: FBT003
