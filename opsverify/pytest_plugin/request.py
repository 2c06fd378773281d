"""Request of a stage run: stage, target and options of the command line, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.config.load import find_target, load_target
from opsverify.config.run_options import ALLOW_SHORT_WINDOW, WINDOW, overridden
from opsverify.core.runbook import lines
from opsverify.core.stages import CANARY, Stage, stage_named
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.model import Target
    from opsverify.config.run_options import Given, RunOption

TARGETS = Path("targets")
LONGEST_WINDOW_S = 86400.0
LEAST_WINDOW_S = 1.0


@dataclass(frozen=True)
class Request:
    """What the command line asks for; `given` holds the run options by name."""

    stage: str
    target: str
    given: Mapping[str, Given] = field(default_factory=dict)

    def text(self, option: RunOption) -> str | None:
        """The value of `option`; None where it is not given."""
        value = self.given.get(option.name)
        return None if value is None else str(value)


def resolve(request: Request, root: Path) -> tuple[Stage, Target]:
    """The stage and target of `request`; reads no secret. A fault of the own runbook is told before the target's."""
    stage = stage_named(request.stage)
    lines()
    target, _ = load_target(find_target(request.target, root / TARGETS), with_secrets=False)
    return stage, overridden(target, stage.name, request.given)


def window_of(request: Request, stage: Stage, target: Target) -> float | None:
    """Seconds a canary stage observes; None for other stages.

    Raises TargetError for a window that is none, whatever the stage, and for one shorter than the runbook's where that
    is not allowed.
    """
    canary = target.canary if stage.name in CANARY else None
    text = request.text(WINDOW)
    if text is None:
        if canary is None:
            return None
        text = canary.window
    window = _seconds(text)
    if canary is None:
        return None
    allowed = canary.allow_short_window and target.environment != "production"
    if window < parse_duration(canary.shortest_window) and not (allowed or ALLOW_SHORT_WINDOW.name in request.given):
        raise TargetError(
            say(
                "{flag} {text}: the runbook observes {shortest_window} or longer; a shorter window needs {allow}",
                flag=WINDOW.flag,
                text=text,
                shortest_window=canary.shortest_window,
                allow=ALLOW_SHORT_WINDOW.flag,
            )
        )
    return window


def _seconds(text: str) -> float:
    try:
        window = parse_duration(text)
    except ValueError as error:
        raise TargetError(say("{flag}: {error}", flag=WINDOW.flag, error=error)) from error
    if window > LONGEST_WINDOW_S:
        raise TargetError(
            say(
                "{flag} {text}: longer than {longest} (the runbook: 10 to 20 minutes); expected such as 20m",
                flag=WINDOW.flag,
                text=text,
                longest=duration(LONGEST_WINDOW_S),
            )
        )
    if window < LEAST_WINDOW_S:
        raise TargetError(
            say(
                "{flag} {text}: too short to measure anything; expected {least} or longer",
                flag=WINDOW.flag,
                text=text,
                least=duration(LEAST_WINDOW_S),
            )
        )
    return window


def short_window(window_s: float | None, target: Target) -> str | None:
    """What a reader must know of a window that is shorter than the runbook's; None where it is not."""
    canary = target.canary
    if window_s is None or canary is None or window_s >= parse_duration(canary.shortest_window):
        return None
    return say(
        "window {window_s} is shorter than the runbook's {shortest_window}: a demonstration or "
        "rehearsal, not a release",
        window_s=duration(window_s),
        shortest_window=canary.shortest_window,
    )
