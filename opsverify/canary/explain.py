"""Explanation of a canary's decision: what decided when, and what would have changed it, from the run's evidence."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from opsverify.canary.assessment import CriterionState
from opsverify.canary.decision import GateOutcome, unproven_text
from opsverify.canary.observation import NAME, read_observation
from opsverify.canary.sensitivity import Sensitivity
from opsverify.canary.trace import trace
from opsverify.errors import EvidenceError
from opsverify.language.message import join, say
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.canary.assessment import Assessment
    from opsverify.canary.trace import CriterionTrace, WindowTrace

OUTCOMES: Final = {
    GateOutcome.PROMOTE: say("promoted"),
    GateOutcome.ROLLBACK: say("rolled back"),
    GateOutcome.HOLD: say("held"),
    GateOutcome.CONTINUE: say("watched on"),
}
"""What is done at an outcome."""
_SAME: Final = 1e-9


def explain(path: Path) -> tuple[WindowTrace, tuple[str, ...]]:
    """The trace of a run (its folder, or its observation), and one line for each thing that mattered.

    Raises EvidenceError where the observation cannot be read, decides nothing, or gives another decision than the run.
    """
    file = path / NAME if path.is_dir() else path
    found = trace(*read_observation(file))
    if found.decision.outcome is GateOutcome.CONTINUE:
        raise EvidenceError(say("{path}: ends before its window; there is no decision to explain", path=file))
    return found, (_reproduced(file, found), *_decided(found), *_changes(found))


def differences(found: WindowTrace, verdict: dict[str, Any]) -> list[str]:
    """Where a verdict says something else than the replay of its observation."""
    checks = {check["id"]: check for check in verdict.get("checks", ())}
    outcome, said = found.decision.outcome.value, str(verdict.get("decision"))
    wrong: list[str] = []
    waived = any(name.startswith("canary.") and check.get("outcome") == "waived" for name, check in checks.items())
    promoted = said == "promote" and outcome != "promote"
    if not waived and (promoted or (outcome == "rollback" and said != "rollback")):
        wrong.append(say("decision {said}, replayed {outcome}", said=said, outcome=outcome))
    for one in found.decision.assessments:
        check = checks.get(f"canary.{one.criterion.name}", {})
        measured, samples = check.get("measured"), check.get("samples")
        if one.share is None or not isinstance(measured, int | float) or samples is None:
            continue
        share = 1 - one.share if one.criterion.inverse else one.share
        if samples != round(one.trials) or not math.isclose(measured, share, rel_tol=_SAME, abs_tol=_SAME):
            wrong.append(
                say(
                    "{name}: {measured} of {samples}, replayed {share} of {trials}",
                    name=one.criterion.name,
                    measured=quantity(float(measured), "ratio"),
                    samples=samples,
                    share=quantity(share, "ratio"),
                    trials=round(one.trials),
                )
            )
    return wrong


def _reproduced(file: Path, found: WindowTrace) -> str:
    outcome = OUTCOMES[found.decision.outcome]
    try:
        verdict = json.loads((file.parent / "verdict.json").read_bytes())
    except (OSError, ValueError):
        return say("replayed: {outcome}; no verdict beside the observation to compare with", outcome=outcome)
    if wrong := differences(found, verdict):
        raise EvidenceError(
            say(
                "{path}: the replay does not give the run's decision ({differences}); verify the evidence first "
                "(opsverify evidence RUN)",
                path=file,
                differences=join("; ", wrong),
            )
        )
    return say(
        "replayed: {outcome} after {at}; counts and decision are those of the run ({decision})",
        outcome=outcome,
        at=elapsed(found.watch.elapsed_s),
        decision=verdict.get("decision"),
    )


def _decided(found: WindowTrace) -> Iterator[str]:
    """What decided, and at what minute each criterion was proven."""
    outcome, policy = found.decision.outcome, found.watch.setup.policy
    for one in found.criteria:
        proven, breached = one.since(CriterionState.BELOW_PROVEN), one.since(CriterionState.BREACH_PROVEN)
        if breached is not None:
            yield say("{name}: breach proven at {at}", name=one.criterion.name, at=elapsed(breached))
        elif proven is not None:
            yield say("{name}: proven within its limit since {at}", name=one.criterion.name, at=elapsed(proven))
    if outcome is GateOutcome.PROMOTE and found.decision.proven:
        times = [(at, one.criterion.name) for one in found.criteria if (at := _promotable_since(one)) is not None]
        last, name = max(times, default=(0.0, ""))
        if last > policy.shortest_s:
            yield say("decided by {name}, the last criterion to be proven, at {at}", name=name, at=elapsed(last))
        else:
            yield say(
                "decided by the shortest window ({at}): every criterion was proven before",
                at=elapsed(policy.shortest_s),
            )
    else:
        for reason in found.decision.reasons:
            yield say("decided by: {reason}", reason=reason)


def _promotable_since(one: CriterionTrace) -> float | None:
    return one.since(CriterionState.BELOW_PROVEN)


def _changes(found: WindowTrace) -> Iterator[str]:
    sensitivity, window = Sensitivity(found.watch), found.watch.window
    for number, one in enumerate(found.decision.assessments):
        yield from _of_criterion(sensitivity, number, one, found.watch.elapsed_s)
    others = (
        (bool(window.alerts or window.earlier_alerts), say("without the alerts"), sensitivity.without_alerts),
        (bool(window.restarts), say("without the restarts"), sensitivity.without_restarts),
        (
            window.coverage < 1 or any(one.unseen.trials or one.fault for one in found.decision.assessments),
            say("had nothing been missed"),
            sensitivity.with_everything_seen,
        ),
    )
    for there, change, outcome in others:
        if there:
            changed = outcome()
            if changed is sensitivity.outcome:
                yield say("{change}: {outcome} all the same", change=change, outcome=OUTCOMES[changed])
            else:
                yield say("{change}: {outcome} at that moment", change=change, outcome=OUTCOMES[changed])


def _of_criterion(sensitivity: Sensitivity, number: int, one: Assessment, elapsed_s: float) -> Iterator[str]:
    name, changed = one.criterion.name, False
    bad, trials = round(one.bad), round(one.trials)
    if (fewest := sensitivity.fewest(number, 1)) is not None:
        changed = True
        yield say(
            "{name}: with {count:,} more bad ones ({bad:,} of {trials:,} were): {outcome} at that moment",
            name=name,
            count=fewest[0],
            outcome=OUTCOMES[fewest[1]],
            bad=bad,
            trials=trials,
        )
    if (fewest := sensitivity.fewest(number, -1)) is not None:
        changed = True
        yield say(
            "{name}: with {count:,} fewer bad ones ({bad:,} of {trials:,} were): {outcome} at that moment",
            name=name,
            count=fewest[0],
            outcome=OUTCOMES[fewest[1]],
            bad=bad,
            trials=trials,
        )
    if not changed:
        yield say("{name}: no number of bad ones alone would have changed the decision at that moment", name=name)
    undecided = (CriterionState.WITHIN, CriterionState.TOO_FEW)
    if one.state in undecided and one.more and one.trials and elapsed_s:
        yield say(
            "{name}: {more:,} more trials are needed at this share, about {time} at this traffic",
            name=name,
            more=one.more,
            time=elapsed(one.more / (one.trials / elapsed_s)),
        )
    elif one.state is CriterionState.UNOBSERVED:
        yield unproven_text(one)
    if one.unseen.trials:
        yield say(
            "{name}: up to {trials:,.0f} trials were not seen, {bad:,.0f} of them taken for bad",
            name=name,
            trials=one.unseen.trials,
            bad=one.unseen.bad,
        )
