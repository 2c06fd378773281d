"""`opsverify gate plan`: how long a canary's window must be to prove what, from the baseline's own traffic."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from opsverify.canary.window_plan import observed_before, plan_of
from opsverify.canary.window_policy import policy_of, setup_of
from opsverify.cli.plan import collect
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.language.message import in_language, say
from opsverify.probes.access import access_to
from opsverify.pytest_plugin.fixtures.canary import criteria_of
from opsverify.units import duration, elapsed, parse_duration, quantity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import pytest

    from opsverify.canary.policy import Policy
    from opsverify.canary.window_plan import CriterionPlan

STAGE = "prod-canary"


class _Items:
    """Keeps the collected checks."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


def plan(options: argparse.Namespace) -> int:
    """Print what a window proves; 0 where every criterion that must be proven is within it, else 10.

    Raises TargetError for a target without canary, Inconclusive where Prometheus does not answer.
    """
    from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415 - 170 ms, only for this command

    root = project_root(options.target)
    target, secrets = load_target(find_target(target_argument(options.target), root / "targets"))
    canary, config = target.canary, target.prometheus
    if canary is None or config is None:
        raise TargetError(say("target {name}: gate plan needs [canary] and [prometheus]", name=target.name))
    try:
        longest_s = parse_duration(options.window or canary.window)
        back_s = parse_duration(options.back)
    except ValueError as error:
        raise TargetError(say("gate plan: {error}", error=error)) from error
    weight = _weight(options.share) if options.share else target.limits.traffic_share.bound
    items = _Items()
    collect(STAGE, options.target, root, plugins=(items,))
    criteria = criteria_of(items.items, target)
    if not criteria:
        raise TargetError(say("target {name}: no criterion of a canary is collected", name=target.name))
    policy = policy_of(canary, target.limits, longest_s)
    setup = setup_of(target, longest_s, criteria)
    with Prometheus(config, access_to(config, secrets, target.proxy)) as prometheus:
        at = prometheus.now()
        setup = replace(setup, start=at - back_s, policy=replace(policy, shortest_s=policy.step_s, longest_s=back_s))
        steps = observed_before(prometheus, setup, back_s, at, target.limits.judgment_p95.bound)
    planned = plan_of(setup, steps, weight, policy)
    language = options.language or target.language
    head = say(
        "{name}: the last {back}, {weight} of the traffic into the canary, window {shortest} to {longest}, "
        "step {step}, alpha {alpha:g}, beta {beta:g}",
        name=target.name,
        back=duration(back_s),
        weight=quantity(weight, "ratio"),
        shortest=duration(policy.shortest_s),
        longest=duration(policy.longest_s),
        step=duration(policy.step_s),
        alpha=policy.alpha,
        beta=policy.beta,
    )
    for line in (head, *planned_lines(planned, policy)):
        sys.stdout.write(f"{in_language(line, language)}\n")
    return ExitCode.PASSED if _whole_s(planned) <= longest_s else ExitCode.HOLD


def planned_lines(planned: Sequence[CriterionPlan], policy: Policy) -> Iterator[str]:
    """One line for each criterion, the window that proves all of them, and what is assumed."""
    for one in planned:
        yield say(
            "  {name} ({limit}): {proof}; {found}",
            name=one.criterion.name,
            limit=one.criterion.limit_text,
            proof=_proof(one, policy),
            found=_found(one, policy),
        )
    whole = _whole_s(planned)
    if math.isinf(whole):
        yield say("no window proves every criterion at this traffic: see above")
    elif whole > policy.longest_s:
        yield say(
            "a window of {time} proves every criterion that must be proven, longer than {longest}: give --window "
            "{time} or send more traffic",
            time=duration(whole),
            longest=duration(policy.longest_s),
        )
    else:
        yield say("a window of {time} proves every criterion that must be proven", time=duration(whole))
    yield say(
        "assumed: the canary fails as the baseline does now and as clustered; traffic goes on at this rate; a "
        "regression begins with the window and counts as found where 80% of 25 simulated windows find it"
    )


def _whole_s(planned: Sequence[CriterionPlan]) -> float:
    return max((math.inf if one.prove_s is None else one.prove_s for one in planned if one.must_be_proven), default=0.0)


def _proof(one: CriterionPlan, policy: Policy) -> str:
    if one.share is None:
        return say("no trials of the baseline, nothing can be proven")
    traffic = say(
        "baseline {share}, {rate:.3g} trials/s into the canary, dispersion {dispersion:.2g}",
        share=one.criterion.text(one.share),
        rate=one.rate,
        dispersion=one.dispersion,
    )
    if one.prove_s is None:
        return say("{traffic}: healthy is not provable so close to the limit", traffic=traffic)
    time = elapsed(one.prove_s)
    if one.prove_s > policy.longest_s:
        return say("{traffic}: healthy proven in {time}, longer than the window", traffic=traffic, time=time)
    return say("{traffic}: healthy proven in {time}", traffic=traffic, time=time)


def _found(one: CriterionPlan, policy: Policy) -> str:
    longest = duration(policy.longest_s)
    if one.found is None:
        return say("no regression is found within {longest}", longest=longest)
    share = one.criterion.text(one.found)
    if one.criterion.inverse:
        return say("a regression to {share} or less is found within {longest}", share=share, longest=longest)
    return say("a regression to {share} or more is found within {longest}", share=share, longest=longest)


def _weight(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    if not 0 < value < 1:
        raise TargetError(say("gate plan: --share {text}: expected a share such as 10% or 0.1", text=text))
    return value
