"""Plan: the checks a stage must execute on a target, fixed before the first one runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.runbook import lines, scope_of
from opsverify.core.spec import Absent, CheckSpec, Inapplicable, Row, Unknown
from opsverify.language.message import as_message, say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from opsverify.config.model import Target
    from opsverify.config.waivers import Waiver
    from opsverify.core.runbook import Line
    from opsverify.core.stages import Stage
    from opsverify.language.message import Message

UNDECIDED: Final = "?"
"""What the reason of an absence begins with that nobody decided yet."""


@dataclass(frozen=True)
class Planned:
    """One check of the plan; `not_applicable` and `cannot_run` are reasons why it needs no run, or can have none.

    `attests` is the runbook line that no check carries out, and that a person signs for.
    """

    id: str
    ko: str
    en: str
    lines: tuple[str, ...]
    severity: str
    owner: str
    nodeid: str | None = None
    not_applicable: str | None = None
    cannot_run: str | None = None
    waiver: str | None = None
    attests: str | None = None

    @property
    def sections(self) -> tuple[str, ...]:
        """Runbook sections, each once: what `verdict.json` calls `runbook`."""
        return tuple(dict.fromkeys(line.partition("/")[0] for line in self.lines))

    def title(self, language: str) -> str:
        """The title in `ko` or `en`."""
        return self.ko if language == "ko" else self.en


@dataclass(frozen=True)
class Plan:
    """The plan of one stage on one target, in the order of execution."""

    stage: Stage
    checks: tuple[Planned, ...]

    def to_dict(self) -> dict[str, Any]:
        """The content of `plan.json`."""
        return {
            "schema": "opsverify.plan/1",
            "stage": self.stage.name,
            "checks": [{**vars(check), "sections": list(check.sections)} for check in self.checks],
        }


def planned(
    spec: CheckSpec,
    target: Target,
    nodeid: str,
    parameters: Mapping[str, Any],
    parameter_id: str | None,
    today: dt.date,
    known: Mapping[str, Line],
) -> Planned:
    """Fill a check's id, titles, owner and waiver in for one set of parameters; `known` are the runbook's lines."""
    absent = next((value for value in parameters.values() if isinstance(value, Absent)), None)
    unknown = next((value for value in parameters.values() if isinstance(value, Unknown)), None)
    row = next((value for value in parameters.values() if isinstance(value, Row)), None)
    left_out = next((value for value in parameters.values() if isinstance(value, Inapplicable)), None)
    missing_part = next((part for part in spec.needs if not target.has(part)), None)
    not_applicable = undecided = None
    if missing_part:
        undecided = _undecided(missing_part, target.absent.get(missing_part, ""))
        not_applicable = say("the target declares {absence}", absence=target.absence(missing_part))
    elif absent:
        not_applicable = say("the target lists no {what}", what=absent.what)
    elif left_out:
        undecided = _undecided(left_out.name, left_out.reason)
        not_applicable = say(
            "the target declares {absence}",
            absence=say("{part} absent ({reason})", part=left_out.name, reason=left_out.reason),
        )
    elif missing_signal := _absent_signal(spec, target):
        name, reason = missing_signal
        undecided = _undecided(say("signal {name}", name=name), reason)
        not_applicable = say(
            "the target declares {absence}", absence=say("signal {name} absent ({reason})", name=name, reason=reason)
        )
    elif spec.where and not spec.where[1](target):
        not_applicable = say("the target lists no {what}", what=spec.where[0])
    elif row and row.not_applicable:
        not_applicable = as_message(row.not_applicable)
    else:
        not_applicable = scope_of(spec.lines, known)
    cannot_run = unknown.reason if unknown else row.cannot_run if row else None
    if undecided:
        not_applicable, cannot_run = None, undecided
    check_id, ko, en = spec.id, spec.ko, spec.en
    if parameter_id and not (absent or unknown or row):
        check_id, ko, en = (f"{text}[{parameter_id}]" for text in (check_id, f"{ko} ", f"{en} "))
    waiver = waiver_for(check_id, spec.severity, target, today)
    return Planned(
        check_id,
        ko,
        en,
        spec.lines,
        spec.severity,
        spec.owner or target.owner_of(check_id),
        nodeid,
        not_applicable,
        cannot_run=None if not_applicable else cannot_run,
        waiver=_described(waiver) if waiver else None,
    )


def _described(waiver: Waiver) -> Message:
    owner = ", ".join(filter(None, (waiver.owner, waiver.ticket)))
    return say("{reason} ({owner}, until {until})", reason=waiver.reason, owner=owner, until=waiver.until)


def _undecided(what: str, reason: str) -> Message | None:
    """Why a check cannot run whose part is absent for a reason that is only a question, as in a drafted target."""
    if not reason.lstrip().startswith(UNDECIDED):
        return None
    return say(
        "the target leaves open whether there is {what}; describe it, or write the reason why there is none", what=what
    )


def _absent_signal(spec: CheckSpec, target: Target) -> tuple[str, str] | None:
    """The first signal that a check reads and the target declares absent, with the reason."""
    signals = target.prometheus.signals if target.prometheus else None
    for name in spec.signals if signals else ():
        reason = signals.absent(name) if signals else None
        if reason is not None:
            return name, reason
    return None


def waiver_for(check_id: str, severity: str, target: Target, today: dt.date) -> Waiver | None:
    """The unexpired waiver of a check; never one for sev1 unless the target allows that."""
    if severity == "sev1" and not target.sev1_waivers_allowed:
        return None
    return next((waiver for waiver in target.waivers if waiver.check == check_id and today <= waiver.until), None)


def uncovered(stage: Stage, checks: Iterable[Planned], target: Target) -> tuple[Planned, ...]:
    """A planned entry for each runbook line of the stage that no check carries out: a person signs for it."""
    carried = {line for check in checks for line in check.lines}
    return tuple(
        Planned(
            f"runbook.{line.id.replace('/', '.')}",
            line.ko,
            line.en,
            (line.id,),
            "sev2",
            target.owners.default,
            not_applicable=line.out_of_scope.text if line.out_of_scope else None,
            attests=None if line.out_of_scope else line.id,
        )
        for line in lines().values()
        if stage.name in line.stages and line.id not in carried
    )


def with_uncovered(stage: Stage, target: Target, checks: Iterable[Planned]) -> tuple[Planned, ...]:
    """`checks`, plus one entry for each line of the runbook that none of them carries out."""
    checks = tuple(checks)
    return (*checks, *uncovered(stage, checks, target))
