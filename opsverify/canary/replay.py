"""Replay of a canary's decision from the observation of its window."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import NAME, read_observation
from opsverify.canary.watch import GateWatch
from opsverify.core.exit_codes import ExitCode
from opsverify.language.message import join, say
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXIT: Final = {
    GateOutcome.PROMOTE: ExitCode.PASSED,
    GateOutcome.ROLLBACK: ExitCode.FAILED,
    GateOutcome.HOLD: ExitCode.HOLD,
    GateOutcome.CONTINUE: ExitCode.HOLD,
}
"""Exit codes as of `verify`; a window that was aborted decides nothing."""


def replay(path: Path, write: Callable[[str], object]) -> int:
    """Write one line for each step and the final decision with its reasons; the exit code of the decision.

    `path` is the evidence file or the run's folder. Raises EvidenceError where it cannot be read.
    """
    setup, steps = read_observation(path / NAME if path.is_dir() else path)
    policy = setup.policy
    write(
        say(
            "window {longest_s}, promoted from {shortest_s} on, step {step_s}, alpha {alpha:g}, beta "
            "{beta:g}, end rule {end_rule}, {count} criteria, since {clock}",
            longest_s=duration(policy.longest_s),
            shortest_s=duration(policy.shortest_s),
            step_s=duration(policy.step_s),
            alpha=policy.alpha,
            beta=policy.beta,
            end_rule=policy.end_rule,
            count=len(setup.counted),
            clock=_clock(setup.start),
        )
        + "\n"
    )
    watch = GateWatch(setup)
    for step in steps:
        watch.advance(step)
        outcome = say("no answer ({fault})", fault=step.fault) if step.fault else watch.text
        head = f"{_clock(step.at)}  +{step.at - setup.start:6.1f}s  {watch.decision.outcome.value:8}  "
        write(join("", (head, outcome, "\n")))
    decision = watch.decision
    if decision.outcome is GateOutcome.CONTINUE:
        write(say("HOLD: the observation ends before its window") + "\n")
        return EXIT[decision.outcome]
    proven = say("proven") if decision.proven else say("not proven")
    write(join("", (decision.outcome.value.upper(), ", ", proven, "\n")))
    for reason in decision.reasons:
        write(say("  because {reason}", reason=reason) + "\n")
    return EXIT[decision.outcome]


def _clock(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S}Z"
