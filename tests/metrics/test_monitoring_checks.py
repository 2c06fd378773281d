"""Checks of Prometheus itself, on targets and rules that are made up."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from opsverify import CheckFailed, Inconclusive
from opsverify.config.model import PrometheusConfig
from opsverify.probes.eventually import set_waiting
from opsverify.probes.prometheus_values import Rule, ScrapeTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.core.check import Check

ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000.0
UP = ScrapeTarget("api", "a:80", "up", "", MappingProxyType({}), NOW, 15.0)
NEW = replace(UP, instance="b:80", health="unknown", last_at=None)
HEALTHY = Rule("TooSlow", "inactive", "ok", "", MappingProxyType({"severity": "page"}), NOW, 15.0)
FAILING = replace(HEALTHY, health="err", labels=MappingProxyType({"severity": "warning"}))


@dataclass
class MadeUp:
    """A Prometheus: its targets, answer by answer, and its rules."""

    answers: list[list[ScrapeTarget]]
    loaded: tuple[Rule, ...] = ()

    def targets(self) -> list[ScrapeTarget]:
        """The next answer; the last one for ever."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def rules(self) -> tuple[Rule, ...]:
        """As loaded."""
        return self.loaded

    def now(self) -> float:
        """Its clock."""
        return NOW


@pytest.fixture
def judged(check: Check) -> Check:
    """A check on a target with a Prometheus."""
    check.target = check.target.model_copy(update={"prometheus": PrometheusConfig(url="http://prometheus")})
    return check


def checks() -> Any:  # noqa: ANN401 - a check file
    """The check file, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("monitoring_checks", ROOT / "checks/test_monitoring.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_target_before_its_first_scrape_is_awaited(judged: Check) -> None:
    """A pod that just came is not down: its first scrape is awaited, and only then judged."""
    checks().test_targets(judged, MadeUp([[UP, NEW], [UP, replace(NEW, health="up")]]))
    judged.conclude()


def test_a_target_that_is_never_scraped_is_not_judged(judged: Check) -> None:
    """Neither up nor down: nothing is known of it."""
    with set_waiting(active=False), pytest.raises(Inconclusive, match=r"never scraped.*: api b:80"):
        checks().test_targets(judged, MadeUp([[UP, NEW]]))


def test_a_target_that_is_down_fails(judged: Check) -> None:
    """Also beside one that is new."""
    with set_waiting(active=False), pytest.raises(Inconclusive):
        checks().test_targets(judged, MadeUp([[replace(UP, health="down"), NEW]]))
    with pytest.raises(CheckFailed, match="1 of 2 targets down: api a:80"):
        judged.conclude()


@pytest.mark.parametrize("rules", [(FAILING, HEALTHY), (HEALTHY, FAILING)])
def test_a_failing_rule_is_not_hidden_by_another_of_its_name(judged: Check, rules: tuple[Rule, ...]) -> None:
    """A warning that fails to evaluate fires never, however well the page of the same name does."""
    checks().test_rules(judged, MadeUp([[UP]], rules))
    with pytest.raises(CheckFailed, match="1 of 2 rules fail to evaluate: TooSlow"):
        judged.conclude()


@pytest.mark.parametrize(("every_s", "waited"), [(15.0, 16.0), (3600.0, 60.0)])
def test_a_first_scrape_is_awaited_no_longer_than_a_minute(
    judged: Check, every_s: float, waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One interval of the target, and not an hour of a run."""
    module = checks()
    given: list[float] = []

    def at_once(probe: Callable[[], Any], *_: object, deadline_s: float, **__: object) -> object:
        given.append(deadline_s)
        return probe()

    monkeypatch.setattr(module, "eventually", at_once)
    with pytest.raises(Inconclusive, match="never scraped"):
        module.test_targets(judged, MadeUp([[UP, replace(NEW, every_s=every_s)]]))
    assert given == [waited]


def test_late_rules_are_counted_of_all_rules(judged: Check) -> None:
    """Of rules of one name, too."""
    late = replace(HEALTHY, last_at=NOW - 3600)
    checks().test_rules(judged, MadeUp([[UP]], (HEALTHY, late)))
    with pytest.raises(CheckFailed, match="1 of 2 rules not evaluated for 3 intervals: TooSlow"):
        judged.conclude()
