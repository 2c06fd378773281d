"""Replay of a canary's decision from the observation of its window."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.canary.decision import GateOutcome
from opsverify.canary.observation import NAME, read_observation
from opsverify.canary.watch import GateWatch
from opsverify.core.exit_codes import ExitCode
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
        f"window {duration(policy.longest_s)}, promoted from {duration(policy.shortest_s)} on, step "
        f"{duration(policy.step_s)}, alpha {policy.alpha:g}, beta {policy.beta:g}, end rule {policy.end_rule}, "
        f"{len(setup.counted)} criteria, since {_clock(setup.start)}\n"
    )
    watch = GateWatch(setup)
    for step in steps:
        watch.advance(step)
        outcome = f"no answer ({step.fault})" if step.fault else watch.text
        write(f"{_clock(step.at)}  +{step.at - setup.start:6.1f}s  {watch.decision.outcome.value:8}  {outcome}\n")
    decision = watch.decision
    if decision.outcome is GateOutcome.CONTINUE:
        write("HOLD: the observation ends before its window\n")
        return EXIT[decision.outcome]
    write(f"{decision.outcome.value.upper()}, {'proven' if decision.proven else 'not proven'}\n")
    for reason in decision.reasons:
        write(f"  because {reason}\n")
    return EXIT[decision.outcome]


def _clock(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S}Z"
