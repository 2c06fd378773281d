"""The journey runner: placeholders, bound parameters, and permission to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from opsverify.core.spec import CheckSpec
from opsverify.errors import Inconclusive
from opsverify.probes.eventually import set_waiting
from opsverify.smoke.journeys import Journey, JourneyStep
from opsverify.smoke.runner import JourneyRunner, require_permission
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.core.check import Check
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.services import Services

SPEC = CheckSpec("smoke.j", ("2-1/judgment",), ("staging",), "sev1", "여정", "A journey")


class Row(NamedTuple):
    """One row of an answer."""

    one: int
    other: str


class Database:
    """Keeps its queries, and returns one row for each."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, dict[str, Any]]] = []

    def recording(self, _record: object) -> Database:
        """Record nothing."""
        return self

    def rows(self, query: str, **parameters: Any) -> list[Row]:  # noqa: ANN401 - bound parameters
        """Return one row."""
        self.queries.append((query, parameters))
        return [Row(1, "x")]


def nobody(*_arguments: object) -> Any:  # noqa: ANN401 - stands for any probe
    """Fail when a probe is used that the step does not need."""
    raise AssertionError("not needed")


NOBODY = cast("Services", nobody)
"""No service is asked either."""


@pytest.fixture
def database() -> Database:
    """Make a database."""
    return Database()


@pytest.fixture
def journey_runner(check: Check, database: Database) -> JourneyRunner:
    """Make a journey_runner with a database only."""
    asked = cast("Postgres", database)
    return JourneyRunner(check, NOBODY, lambda: asked, nobody, nobody, nobody, nobody, nobody)


def test_sql_names_become_bound_parameters(journey_runner: JourneyRunner, database: Database) -> None:
    """A value from an earlier answer never becomes SQL text, whatever it holds."""
    journey_runner.kept["id"] = "'; DROP TABLE judgment_executions; --"
    step = JourneyStep(title="look", sql="SELECT 1 AS one WHERE id = ${id}::uuid AND t = ${tag}", expect={"one": 1})
    with set_waiting(active=False):
        journey_runner.run_step(step)
    ((query, parameters),) = database.queries
    assert query == "SELECT 1 AS one WHERE id = %(id)s::uuid AND t = %(tag)s"
    assert parameters == {"id": "'; DROP TABLE judgment_executions; --", "tag": journey_runner.tag}
    journey_runner.check.conclude()


def test_a_wrong_row_fails(journey_runner: JourneyRunner) -> None:
    """What is not as expected at the deadline is a failed measurement."""
    with set_waiting(active=False):
        journey_runner.run_step(JourneyStep(title="look", sql="SELECT 1", expect={"one": 2, "missing": 3}))
    assert [m.message for m in journey_runner.check.measurements if not m.holds] == [
        "one 1, expected 2", "missing no such row, expected 3"
    ]  # fmt: skip


def test_placeholders(journey_runner: JourneyRunner) -> None:
    """A whole placeholder keeps its type, one within text becomes text, at any depth."""
    journey_runner.kept["n"] = 7
    filled = journey_runner._substituted({"a": "${n}", "b": ["x${n}y", 3, None], "c": "plain"})
    assert filled == {"a": 7, "b": ["x7y", 3, None], "c": "plain"}


def test_unknown_name(journey_runner: JourneyRunner) -> None:
    """A name that no step keeps is inconclusive, and the names that exist are listed."""
    with pytest.raises(Inconclusive, match=r"journey uses \$\{idd\}, which no earlier step keeps; kept: .*tag"):
        journey_runner._substituted("${idd}")


def test_tags_are_the_journeys_own(check: Check) -> None:
    """Two journeys never share a tag: cleaning one up leaves the other's rows."""
    tags = {JourneyRunner(check, NOBODY, nobody, nobody, nobody, nobody, nobody, nobody).tag for _ in range(50)}
    assert len(tags) == 50
    assert all(tag.startswith("opsverify-") for tag in tags)


@pytest.mark.parametrize(
    ("synthetic", "writes", "said"),
    [
        ("", True, "does not allow"),
        ("allowed = true", True, "nothing would remove"),
        ("allowed = true\ntables = ['a']", True, "nothing would remove"),
        ("allowed = true\ntables = ['a']\ncleanup = { user = 'u' }", True, None),
        ("", False, None),
    ],
)
def test_permission_to_write(tmp_path: Path, synthetic: str, *, writes: bool, said: str | None) -> None:
    """Nothing is written where the target does not allow it, or where nothing would clean up."""
    target = target_in(tmp_path, f"{SMALLEST}[synthetic]\n{synthetic}\n")
    journey = Journey(SPEC, "j", (), writes)
    if said is None:
        require_permission(target, journey)
    else:
        with pytest.raises(Inconclusive, match=said):
            require_permission(target, journey)
