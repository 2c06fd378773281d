"""Checks of a period: what changed since the period before, which became slow, and which change again and again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import Message, unpair
from opsverify.report.period_runs import RED

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from opsverify.report.period_runs import PeriodRun

SLOW_TIMES: Final = 2.0
"""How many times its own time before a check takes, from which on it became slow."""
SLOW_S: Final = 1.0
"""Seconds below which no check is slow."""
FLIPS: Final = 2
"""How often a check changes between pass and red, from which on it is flaky."""
_SETTLED: Final = "pass"


@dataclass(frozen=True)
class CheckState:
    """The newest result of one check in one stage; `since` is when it became what it is, as far as runs go back."""

    id: str
    stage: str
    owner: str
    outcome: str
    message: Message
    since: dt.datetime

    @property
    def red(self) -> bool:
        """Whether it failed or could not be measured."""
        return self.outcome in RED


@dataclass(frozen=True)
class CheckChange:
    """One check whose newest result differs between two moments; None where the stage had no such check."""

    before: CheckState | None
    now: CheckState | None

    @property
    def state(self) -> CheckState:
        """The newest of both."""
        found = self.now or self.before
        if found is None:
            raise LookupError("a change without states")
        return found


@dataclass(frozen=True)
class SlowCheck:
    """The median time of a check in a stage, and in the period before (None: it was not run)."""

    id: str
    stage: str
    owner: str
    seconds: float
    before_s: float | None

    @property
    def slower(self) -> bool:
        """Whether it takes much longer than before."""
        return self.before_s is not None and self.seconds >= max(SLOW_S, SLOW_TIMES * self.before_s)


@dataclass(frozen=True)
class FlakyCheck:
    """How often a check changed between pass and red, in how many runs of its stage."""

    id: str
    stage: str
    owner: str
    flips: int
    runs: int


def states_at(runs: Sequence[PeriodRun], moment: dt.datetime) -> dict[tuple[str, str], CheckState]:
    """The state of every check, by stage and id, by the newest run of each stage that was begun before `moment`.

    `runs` are in the order in which they began.
    """
    found: dict[tuple[str, str], CheckState] = {}
    for run in runs:
        if run.begun >= moment or run.verdict is None:
            continue
        for key in [key for key in found if key[0] == run.stage and key[1] not in {one["id"] for one in run.checks}]:
            del found[key]
        for check in run.checks:
            key = (run.stage, check["id"])
            known = found.get(key)
            same = known is not None and known.outcome == check["outcome"]
            found[key] = CheckState(
                check["id"], run.stage, check["owner"], check["outcome"], unpair(dict(check), "message"),
                known.since if known and same else run.begun,
            )  # fmt: skip
    return found


def changes(
    before: Mapping[tuple[str, str], CheckState], now: Mapping[tuple[str, str], CheckState]
) -> Iterator[CheckChange]:
    """What is another result now: became red first, then recovered, then all other changes."""
    found = [
        CheckChange(before.get(key), now.get(key))
        for key in {**before, **now}
        if (before[key].outcome if key in before else None) != (now[key].outcome if key in now else None)
    ]
    yield from sorted(found, key=lambda one: (_rank(one), one.state.stage, one.state.id))


def slow_checks(runs: Sequence[PeriodRun], earlier: Sequence[PeriodRun], most: int = 5) -> list[SlowCheck]:
    """Checks that became slow, then the slowest ones, `most` of these."""
    before = {key: median(times) for key, (times, _) in _times(earlier).items()}
    found = sorted(
        (
            SlowCheck(name, stage, owner, median(times), before.get((stage, name)))
            for (stage, name), (times, owner) in _times(runs).items()
        ),
        key=lambda one: (not one.slower, -one.seconds, one.stage, one.id),
    )
    slower = [one for one in found if one.slower]
    return [*slower, *[one for one in found if not one.slower and one.seconds >= SLOW_S][:most]]


def flaky_checks(runs: Sequence[PeriodRun]) -> list[FlakyCheck]:
    """Checks that changed at least `FLIPS` times, the most restless first."""
    outcomes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        for check in run.checks:
            if check["outcome"] == _SETTLED or check["outcome"] in RED:
                outcomes.setdefault((run.stage, check["id"]), []).append(check)
    found = []
    for (stage, name), checks in outcomes.items():
        passed = [check["outcome"] == _SETTLED for check in checks]
        flips = sum(one != other for one, other in pairwise(passed))
        if flips >= FLIPS:
            found.append(FlakyCheck(name, stage, checks[-1]["owner"], flips, len(checks)))
    return sorted(found, key=lambda one: (-one.flips, one.stage, one.id))


def _rank(change: CheckChange) -> int:
    if change.now is not None and change.now.red and not (change.before and change.before.red):
        return 0
    if change.before is not None and change.before.red and change.now is not None and not change.now.red:
        return 1
    return 2


def _times(runs: Sequence[PeriodRun]) -> dict[tuple[str, str], tuple[list[float], str]]:
    found: dict[tuple[str, str], tuple[list[float], str]] = {}
    for run in runs:
        for check in run.checks:
            if check.get("started_at") and check.get("duration_s") is not None:
                found.setdefault((run.stage, check["id"]), ([], check["owner"]))[0].append(check["duration_s"])
    return found
