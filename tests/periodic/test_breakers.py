"""Circuit breakers: transitions by their counters, an exercise where it is allowed, and one that is stuck."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from opsverify.commands import Ran
from opsverify.config.breakers import BreakerConfig, BreakerExercise
from opsverify.errors import CheckFailed, Inconclusive
from opsverify.limits import Limit
from opsverify.periodic.breakers import BreakerReview, exercise_command
from opsverify.periodic.described_breakers import described_breakers
from opsverify.probes.eventually import set_waiting
from opsverify.probes.prometheus_values import Sample, Series
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.probes.prometheus import Prometheus

NOW = 100_000.0
LIMIT = Limit.parse("<= 10 m", "s")
EXERCISE = BreakerExercise(on=("break",), off=("mend",))
CONFIG = BreakerConfig(opened="opened", half_opened="half", closed="closed", not_closed="open_now")
CALM = ((NOW - 3600, 0.0), (NOW - 60, 0.0))
Points = tuple[tuple[float, float], ...]


@dataclass
class FakePrometheus:
    """Points by selector, all of one instance."""

    points: dict[str, Points] = field(default_factory=dict)
    unknown: bool = False

    def now(self) -> float:
        """The server's clock."""
        return NOW

    def every(self, selector: str, _span_s: float, _step_s: float) -> tuple[Series, ...]:
        """As if every sample lay on a step."""
        found = self.points.get(selector, ())
        return (Series({"__name__": selector, "instance": "a:1"}, found),) if found else ()

    def history(self, selector: str, span_s: float) -> tuple[Series, ...]:
        """Samples of the span."""
        return self.every(selector, span_s, 1.0)

    def whole(self, selector: str, at: float | None = None) -> Any:  # noqa: ANN401 - as the probe's
        """The latest value; nothing is known of the time before."""
        if at is not None:
            return SimpleNamespace(samples=())
        samples = [Sample(series.labels, series.points[-1][1], NOW) for series in self.every(selector, 0, 0)]
        return SimpleNamespace(samples=tuple(samples))

    def known(self, _selector: str, _back: str) -> bool:
        """Whether there ever was a series."""
        return not self.unknown

    def count(self, **values: float) -> None:
        """Counters as they are from now on."""
        self.points |= {name: ((NOW - 1, value),) for name, value in values.items()}


def review(
    prometheus: FakePrometheus,
    command: Callable[[Sequence[str], BreakerExercise], Ran] | None = None,
    exercise: BreakerExercise | None = None,
) -> BreakerReview:
    """A breaker that is never waited for."""
    config = CONFIG.model_copy(update={"exercise": exercise})
    return BreakerReview("mcp", config, cast("Prometheus", prometheus), command)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Every attempt is the only one."""
    with set_waiting(False):
        yield


def counted(**growth: float) -> dict[str, Points]:
    """Counters that grew by so much, of an instance that was scraped all along."""
    return {"open_now": CALM, **{name: ((NOW - 3600, 7.0), (NOW - 60, 7.0 + by)) for name, by in growth.items()}}


def test_a_cycle_of_the_look_back_is_enough() -> None:
    """Nothing is caused on a platform whose breaker did its work."""
    found = review(FakePrometheus(counted(opened=2, half=3, closed=2)), exercise=EXERCISE).cycle()
    assert found.whole
    assert [times for _, times in found.counts] == [2, 3, 2]
    assert str(found.where) == "in the last 92d"


@pytest.mark.parametrize("growth", [{}, {"opened": 1}, {"opened": 1, "half": 1}, {"half": 1, "closed": 1}])
def test_without_a_whole_cycle_nothing_is_known(growth: dict[str, float]) -> None:
    """And it says what would make it known."""
    prometheus = FakePrometheus(counted(**{"opened": 0, "half": 0, "closed": 0, **growth}))
    with pytest.raises(Inconclusive, match=r"no whole cycle; .* add \[breakers.mcp.exercise\] and \[faults\] allowed"):
        review(prometheus).cycle()
    with pytest.raises(Inconclusive):
        review(prometheus, exercise=EXERCISE).cycle()


def test_a_counter_that_appears_while_its_instance_is_scraped_begins_from_zero() -> None:
    """A label's first transition counts; what an instance of which nothing is known brings with it does not."""
    first = dict.fromkeys(("opened", "half", "closed"), ((NOW - 600, 1.0), (NOW - 60, 1.0)))
    assert review(FakePrometheus({"open_now": CALM, **first})).cycle().whole
    with pytest.raises(Inconclusive):
        review(FakePrometheus({"open_now": ((NOW - 600, 0.0), (NOW - 60, 0.0)), **first})).cycle()


@dataclass
class Platform:
    """What the commands of an exercise change, and what was run."""

    prometheus: FakePrometheus
    effects: Mapping[str, Mapping[str, float]]
    wrong: str = ""
    ran: list[str] = field(default_factory=list)

    def command(self, argv: Sequence[str], exercise: BreakerExercise) -> Ran:
        """Run one."""
        assert exercise is EXERCISE
        self.ran.append(argv[0])
        self.prometheus.count(**self.effects.get(argv[0], {}))
        return Ran(1 if argv[0] == self.wrong else 0, 0.1, "")


def exercised(wrong: str = "", *, unknown: bool = False, **effects: Mapping[str, float]) -> tuple[Platform, Any]:
    """An exercise on a platform whose commands have these effects, and how the review makes it."""
    prometheus = FakePrometheus(counted(opened=0, half=0, closed=0), unknown=unknown)
    platform = Platform(prometheus, {"mend" if name == "mend" else "break": found for name, found in effects.items()})
    platform.wrong = wrong
    return platform, review(prometheus, platform.command, EXERCISE)


def test_a_breaker_is_opened_and_closed_for_real() -> None:
    """Broken, open, mended, half-open, closed."""
    platform, breaker = exercised(on={"opened": 8}, mend={"opened": 8, "half": 9, "closed": 8})
    found = breaker.cycle()
    assert found.whole
    assert str(found.where) == "exercised now"
    assert platform.ran == ["break", "mend"]


@pytest.mark.parametrize(
    ("effects", "counts"),
    [({}, [0, 0, 0]), ({"on": {"opened": 8}}, [1, 0, 0]), ({"on": {"opened": 8}, "mend": {"half": 9}}, [1, 2, 0])],
)
def test_one_that_does_not_do_its_work_is_measured(effects: dict[str, Any], counts: list[float]) -> None:
    """It does not open, not try, or not close; what was caused is ended."""
    platform, breaker = exercised(**effects)
    found = breaker.cycle()
    assert not found.whole
    assert [times for _, times in found.counts] == counts
    assert platform.ran == ["break", "mend"]


def test_one_instance_that_stays_open_is_not_closed_again() -> None:
    """The others close, and the exercise is not over before all have."""
    platform, breaker = exercised(on={"opened": 8}, mend={"half": 9, "closed": 8, "open_now": 1})
    assert [times for _, times in breaker.cycle().counts] == [1, 2, 0]
    assert platform.ran == ["break", "mend"]


def test_a_selector_that_never_matched_is_no_breaker_that_does_not_open() -> None:
    """It may be misspelt."""
    with pytest.raises(Inconclusive, match="opened has matched nothing in 92d, a 0 of it proves nothing"):
        exercised(unknown=True)[1].cycle()


def test_what_was_caused_always_ends() -> None:
    """Also where it could not be caused as a whole; what cannot be ended is said loudly."""
    platform, breaker = exercised(wrong="break")
    with pytest.raises(Inconclusive, match="break: exit code 1"):
        breaker.cycle()
    assert platform.ran == ["break", "mend"]
    with pytest.raises(CheckFailed, match=r"mend: exit code 1; the fault .* is still on, end it by hand"):
        exercised(wrong="mend", on={"opened": 8})[1].cycle()


@pytest.mark.parametrize(
    ("points", "seconds"),
    [
        (CALM, 0.0),
        (((NOW - 900, 0.0), (NOW - 840, 1.0), (NOW - 10, 1.0)), 900.0),
        (((NOW - 700, 1.0), (NOW - 10, 1.0)), 700.0),
        (((NOW - 700, 1.0), (NOW - 10, 0.0)), 0.0),
    ],
)
def test_how_long_a_breaker_is_not_closed(points: Points, seconds: float) -> None:
    """Since it was closed last, or since it was seen first."""
    (state,) = review(FakePrometheus({"open_now": points})).not_closed(LIMIT)
    assert (state.instance, state.seconds) == ("a:1", seconds)


@pytest.mark.parametrize("points", [(), ((NOW - 900, 1.0), (NOW - 600, 1.0))])
def test_a_gauge_that_is_gone_says_nothing(points: Points) -> None:
    """Neither closed nor stuck."""
    with pytest.raises(Inconclusive, match="no sample of open_now"):
        review(FakePrometheus({"open_now": points})).not_closed(LIMIT)


def _target(folder: Path, more: str, environment: str = "staging") -> Target:
    return target_in(folder, SMALLEST.replace('"staging"', f'"{environment}"') + more)


def test_nothing_is_caused_where_it_is_not_allowed(tmp_path: Path) -> None:
    """By default, and never in production."""
    assert exercise_command(_target(tmp_path, "")) is None
    allowed = "[faults]\nallowed = true\n"
    assert exercise_command(_target(tmp_path, allowed, "production")) is None
    command = exercise_command(_target(tmp_path, allowed))
    assert command is not None
    assert command(("true",), EXERCISE).ok


def test_a_target_without_a_breaker_holds(tmp_path: Path) -> None:
    """Forgotten is not absent."""
    with pytest.raises(Inconclusive, match=r"add \[breakers.NAME\]"):
        described_breakers(_target(tmp_path, ""))
