"""Playbook of a target: how an incident is seen, which sources tell that a remedy is in force, what is confirmed."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from opsverify.config.limits import Limits
from opsverify.config.section import Duration, Section
from opsverify.config.signals import SHARES, Signals
from opsverify.language.message import Message, say
from opsverify.limits import Limit
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAYBOOKS: Final = ("llm", "mcp", "db", "cache", "rule")
SLOW: Final = "slow"
"""In place of a signal of bad ones: requests slower than limits.judgment_p95."""
FORMS: Final = ("share", "rows", "query", "counter")
Unit = Literal["count", "ratio", "s", "usd"]


def _limit_of(text: str, unit: str, limits: Limits | None = None) -> Limit:
    """The limit in `text`: a key of `[limits]`, or a limit of kind `unit`."""
    if text in Limits.model_fields:
        found: Limit = getattr(limits or Limits(), text)
        return found
    return Limit.parse(text, unit)


class Measure(Section):
    """One number of an incident, and its limit: a key of `[limits]`, or a text such as `<= 5 %`.

    `share`: a signal of bad ones (`llm_failures`), or a selector with `trials`; `rows`: SQL that returns `at` (Unix
    seconds), `bad` and `trials` for each second; `query`: SQL that returns one number, and may return a text that
    names what it found; `counter`: growth of a counter over the window. SQL gets the parameters `since`, `until` and
    `seconds`. `none_is_well`: no trials in the window are no failure.
    """

    what: str
    ko: str | None = None
    share: str | None = None
    trials: str | None = None
    rows: str | None = None
    query: str | None = None
    counter: str | None = None
    limit: str
    unit: Unit = "count"
    min_samples: int | None = Field(default=None, ge=1)
    none_is_well: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> Measure:
        _require_one(self, FORMS)
        if self.share is not None and self.share not in (*SHARES, SLOW) and self.trials is None:
            raise ValueError(
                say(
                    "share {share!r}: expected one of {known}, or a selector with trials",
                    share=self.share,
                    known=", ".join((*SHARES, SLOW)),
                )
            )
        limit = self.limit_in(Limits())
        if self.is_share and (limit.op not in ("<", "<=") or not 0 < limit.bound < 1):
            raise ValueError(say("limit {limit}: expected < or <= and a share between 0 % and 100 %", limit=limit.text))
        return self

    @property
    def text(self) -> Message:
        """What is measured, in both languages."""
        return Message.of(self.what, self.ko or self.what)

    @property
    def is_share(self) -> bool:
        """Whether it is a share of trials, judged step by step."""
        return self.share is not None or self.rows is not None

    @property
    def kind(self) -> str:
        """The unit of its limit."""
        return "ratio" if self.is_share else self.unit

    def limit_in(self, limits: Limits) -> Limit:
        """Its limit, with the target's own for a key of `[limits]`."""
        return Limit("<", 0.05, "ratio") if self.share == SLOW else _limit_of(self.limit, self.kind, limits)


class Source(Section):
    """One source that tells whether a remedy is in force.

    `field` of GET `path` is `value` at every instance of the platform (or at `service`), when the window begins and
    when it ends; `same_as` is SQL that returns the value. With `limit` instead, the field is a number, and its growth
    over the window is compared. `query` and `counter` are as in a measure.
    """

    what: str
    ko: str | None = None
    path: str | None = None
    field: str | None = None
    service: str | None = None
    value: str | None = None
    same_as: str | None = None
    query: str | None = None
    counter: str | None = None
    limit: str | None = None
    per_second: bool = False

    @model_validator(mode="after")
    def _one_form(self) -> Source:
        _require_one(self, ("field", "query", "counter"))
        expected = [name for name in ("value", "same_as", "limit") if getattr(self, name) is not None]
        if len(expected) != 1 or (self.field is None and expected != ["limit"]):
            raise ValueError(say("expected exactly one of {names}", names="value, same_as, limit"))
        if (self.field is None) != (self.path is None):
            raise ValueError(say("expected path and field together"))
        if self.limit is not None:
            Limit.parse(self.limit, "count")
        return self

    @property
    def text(self) -> Message:
        """What the source tells, in both languages."""
        return Message.of(self.what, self.ko or self.what)


class Remedy(Section):
    """One remedy: the sources that must agree that it is in force, and its overrides as the platform reports them."""

    sources: tuple[Source, ...] = Field(min_length=2)
    overrides: tuple[str, ...] = ()


class Playbook(Section):
    """One playbook of the runbook: its fault, its remedies, and what is confirmed afterwards."""

    fault: dict[str, Measure] = Field(min_length=1)
    remedies: dict[str, Remedy] = Field(min_length=1)
    require: Literal["any", "all"] = "any"
    confirm: dict[str, Measure] = Field(min_length=1)


class Replay(Section):
    """How the platform replays judgments under another rule version: POST `path` with `from`, `to` and `version`.

    `version` and `affected` are SQL: the version that is in force again, and how many judgments another one made.
    """

    service: str = "judgment"
    path: str
    version: str
    affected: str
    replayed: str = "replayed"
    changed: str = "changed"


def _duration_of(shortest_s: float) -> AfterValidator:
    def check(text: str) -> str:
        if parse_duration(text) < shortest_s:
            raise ValueError(say("{text}: expected at least {seconds:g} s", text=text, seconds=shortest_s))
        return text

    return AfterValidator(check)


class Playbooks(Section):
    """What all playbooks share, and each of them; one that is left out is the judgment platform's own.

    `window`: how long the platform must be stable; `look`: how far back the fault is looked for where the incident's
    beginning is not given; `instances`: services that report modes, each of which must have the remedy.
    """

    window: Annotated[Duration, _duration_of(2)] = "10m"
    look: Annotated[Duration, _duration_of(2)] = "1h"
    step: Annotated[Duration, _duration_of(1)] = "15s"
    alpha: float = Field(default=0.05, gt=0, le=0.5)
    instances: tuple[str, ...] = Field(default=("judgment",), min_length=1)
    overrides_path: str = "/v1/operations"
    overrides_field: str = "overrides"
    since: dt.datetime | None = None
    llm: Playbook | None = None
    mcp: Playbook | None = None
    db: Playbook | None = None
    cache: Playbook | None = None
    rule: Playbook | None = None
    replay: Replay | None = None

    def given(self, name: str) -> Playbook | None:
        """The playbook called `name`, as the target describes it; None: as the judgment platform has it."""
        found: Playbook | None = getattr(self, name)
        return found


def signals_of(playbook: Playbook) -> Iterable[str]:
    """The names of signals that a playbook reads."""
    for measure in (*playbook.fault.values(), *playbook.confirm.values()):
        if measure.share == SLOW:
            yield from ("durations", "duration_buckets")
        elif measure.share in Signals.model_fields:
            yield from (str(measure.share), SHARES[str(measure.share)].trials)


def _require_one(section: Section, forms: tuple[str, ...]) -> None:
    if sum(getattr(section, name) is not None for name in forms) != 1:
        raise ValueError(say("expected exactly one of {names}", names=", ".join(forms)))
