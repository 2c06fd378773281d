"""Actions that follow a verdict: steps, the values of their placeholders, shares of a rollout, attestations."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
import difflib
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.limits import Limit
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""`{revision}`: a-z, 0-9 and _; other braces (`{{.Id}}`, `{.status}`) stay as they are."""

WORD = r"[A-Za-z0-9_.:/@+=][A-Za-z0-9_.:/@+=-]*"
"""What a value's command may answer by default: one word that no program takes for an option."""

FACTS = ("run_id", "stage", "target", "decision")
"""Placeholders that the verdict fills in."""

SHARE_FACTS = ("share", "percent")
"""Placeholders of `actions.share`: the step's share as a number (0.2) and in percent (20)."""


def _share(text: str) -> str:
    share = share_of(text)
    if not 0 < share <= 1:
        raise ValueError(
            say('"{text}" is not a share of the traffic: expected such as "10 %", up to "100 %"', text=text)
        )
    return text


def share_of(text: str) -> float:
    """The share (0..1) in `10 %`. Raises ValueError with the expected form."""
    try:
        return Limit.parse(f"== {text}", "ratio").bound
    except ValueError as error:
        raise ValueError(say('"{text}" is not a share of the traffic: expected such as "10 %"', text=text)) from error


ShareText = Annotated[str, AfterValidator(_share)]


class ActionStep(Section):
    """One command that carries out a decision: an argv list, never a shell string."""

    run: tuple[str, ...] = Field(min_length=1)
    runbook: str
    timeout: Duration = "10m"

    @property
    def timeout_s(self) -> float:
        """Seconds after which the step has failed."""
        return parse_duration(self.timeout)


class Value(Section):
    """The value of a placeholder: `text`, or the one line that `run` prints (a command that changes nothing).

    The line is read from standard output only, and has to match `pattern` as a whole.
    """

    text: str | None = None
    run: tuple[str, ...] = ()
    timeout: Duration = "30s"
    pattern: str = WORD

    @model_validator(mode="after")
    def _pattern_can_be_read(self) -> Value:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(
                say("pattern {pattern!r}: not a regular expression ({error})", pattern=self.pattern, error=error)
            ) from error
        return self

    @model_validator(mode="after")
    def _one_form(self) -> Value:
        if (self.text is None) == (not self.run):
            raise ValueError(say('expected exactly one of {{ text = "41" }} and {{ run = ["command", "argument"] }}'))
        return self


class Actions(Section):
    """The steps after a verdict, in order: shown by `verify`, carried out by `act`."""

    promote: tuple[ActionStep, ...] = ()
    rollback: tuple[ActionStep, ...] = ()
    share: ActionStep | None = None
    values: dict[str, Value] = Field(default_factory=dict)
    unattended: bool = False
    max_age: Duration = "30m"
    folder: str | None = None
    look: Duration = "1m"
    bake: Duration | None = None
    rolled_back_at: dt.datetime | None = None

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Actions:
        for name in self.values:
            if not PLACEHOLDER.fullmatch(f"{{{name}}}") or name in (*FACTS, *SHARE_FACTS):
                taken = ", ".join((*FACTS, *SHARE_FACTS))
                raise ValueError(
                    say("values.{name}: expected a name of a-z, 0-9 and _, other than {taken}", name=name, taken=taken)
                )
        steps = (*self.promote, *self.rollback)
        _require_known(steps, (*FACTS, *self.values))
        if self.share:
            _require_known((self.share,), (*SHARE_FACTS, *FACTS, *self.values))
        return self


class Attestation(Section):
    """A record that a person signs off: a TOML file (relative to the target file)."""

    record: str


def placeholders(argv: Iterable[str]) -> tuple[str, ...]:
    """The names of all placeholders in `argv`, each once."""
    return tuple(dict.fromkeys(name for word in argv for name in PLACEHOLDER.findall(word)))


def _require_known(steps: Iterable[ActionStep], known: tuple[str, ...]) -> None:
    for step in steps:
        for name in placeholders(step.run):
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = (
                    say("; did you mean {{{name}}}?", name=close[0])
                    if close
                    else say("; declare it in [actions.values]")
                )
                raise ValueError(
                    say("{run}: no value for {{{name}}}{hint}", run=" ".join(step.run), name=name, hint=hint)
                )
