"""Change histories: what each change has to have, what moves without a record, and what instances serve."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from opsverify.config.changes import ChangeHistory, ServedVersions
from opsverify.core.spec import Inapplicable
from opsverify.errors import Inconclusive, Unreachable
from opsverify.periodic.change_review import ChangeReview, review_changes, versions_served
from opsverify.periodic.changes import change_kinds, described, versions
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opsverify.probes.postgres import Postgres
    from opsverify.probes.services import Services

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HISTORY, DEPLOYMENTS = "SELECT versions", "SELECT deployments"
CONFIG = ChangeHistory(history=HISTORY, deployments=DEPLOYMENTS, ticket=r"^CHG-\d+$")


class Row(dict[str, Any]):
    """A row as the probe returns it."""

    _asdict = dict.copy


class FakeDatabase:
    """Rows by statement, and the cluster they are in."""

    def __init__(self, *, now: dt.datetime = NOW, cluster: str = "7", **rows: Sequence[Mapping[str, Any]]) -> None:
        self.now, self.cluster, self.given = now, cluster, {f"SELECT {name}": found for name, found in rows.items()}

    def rows(self, statement: str) -> tuple[Any, ...]:
        """The rows as namedtuples."""
        found = self.given.get(statement, ())
        return tuple(Row(row) for row in found)

    def row(self, _statement: str) -> Any:  # noqa: ANN401 - as the probe's
        """The clock and the cluster."""
        return SimpleNamespace(cluster=self.cluster, now=self.now)


def version(version: str, days_ago: float = 3, **other: Any) -> dict[str, object]:  # noqa: ANN401
    """A version that is signed as it has to be."""
    signed = {"author": "kim", "approver": "lee", "ticket": "CHG-7", "active": False, "content": f"body of {version}"}
    return {"version": version, "at": NOW - days_ago * DAY, **signed, **other}


def review(*rows: Mapping[str, Any], config: ChangeHistory = CONFIG, **more: Any) -> ChangeReview:  # noqa: ANN401
    """The review of a history."""
    return review_changes("rules", config, cast("Postgres", FakeDatabase(versions=rows, **more)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"author": None}, "no author"),
        ({"approver": None}, "no approver"),
        ({"approver": " "}, "no approver"),
        ({"approver": "KIM "}, "approved by its own author"),
        ({"author": "kim@example.com", "approver": "kim"}, "approved by its own author"),
        ({"author": "kim, lee", "approver": "lee; kim"}, "approved by its own author"),
        ({"ticket": ""}, "no ticket"),
        ({"ticket": "asap"}, r"ticket 'asap' does not match \^CHG"),
        ({"bypass": "admin: rule off"}, r"approval bypassed by an administrator \(admin: rule off\)"),
        ({"bypass": True}, "approval bypassed by an administrator"),
        ({"at": NOW + DAY}, "dated in the future"),
    ],
)
def test_a_change_that_is_not_signed_is_named(change: dict[str, Any], said: str) -> None:
    """Author, somebody else who approved, ticket; and what an administrator skipped."""
    (found,) = review(version("r2", **change), version("r1", 400, author=None)).unsigned
    assert "rules r2 of" in found
    assert re.search(said, found)


def test_a_change_that_is_signed_lacks_nothing() -> None:
    """One of several authors may approve together with somebody else; no bypass is none."""
    rows = (
        version("r1"),
        version("r2", approver="kim, lee", author="kim"),
        version("r3", bypass=False),
        version("r4", bypass=None),
        version("r5", bypass=""),
    )
    found = review(*rows)
    assert found.unsigned == ()
    assert len(found.recent) == 5


def test_a_deployment_is_a_change() -> None:
    """A label that moves without a new version needs the same signatures, and is shown as what it is."""
    moved = {"version": "r1", "at": NOW, "author": "kim", "approver": None, "ticket": "CHG-9"}
    (found,) = review(version("r1", 100), version("r2", active=True), deployments=[moved]).unsigned
    assert "rules r1 put in force again on 2026-11-29 12:00Z by kim: no approver" in found


def seen(*reviews: ChangeReview) -> ChangeReview:
    """The last one, with the others as earlier runs."""
    return replace(reviews[-1], earlier=tuple(one.now for one in reviews[:-1]))


def test_a_moved_label_without_a_record_is_found() -> None:
    """Trap: no new version, and yet something else is in force; a deployment on record explains it."""
    before = review(version("r1", 100), version("r2", active=True), now=NOW - 5 * DAY)
    rows = (version("r1", 100, active=True), version("r2"))
    (found,) = seen(before, review(*rows)).unrecorded()
    assert "rules r1 was put in force without a new version between 2026-11-24" in found
    moved = {"version": "r1", "at": NOW - DAY, "author": "kim", "approver": "lee", "ticket": "CHG-9"}
    assert seen(before, review(*rows, deployments=[moved])).unrecorded() == ()
    old = {**moved, "at": NOW - 9 * DAY}
    assert len(seen(before, review(*rows, deployments=[old])).unrecorded()) == 1


def test_a_label_that_moved_there_and_back_between_two_runs_is_found() -> None:
    """Every run in between is looked at, not the oldest alone."""
    usual = (version("r1", 100), version("r2", active=True))
    swapped = (version("r1", 100, active=True), version("r2"))
    runs = (review(*rows, now=NOW - days * DAY) for rows, days in ((usual, 9), (swapped, 6), (usual, 0)))
    assert len(seen(*runs).unrecorded()) == 2


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([version("r1", 100), version("r2", active=True, content="another")], "rules r2 was changed in place"),
        ([version("r2", active=True)], "rules r1 was removed from the history"),
        (
            [version("r1", 100), version("r2", active=True), version("r0", 200)],
            "rules r0, dated .* was not there yet on 2026-11-27 12:00Z: it is dated back",
        ),
    ],
)
def test_a_history_that_was_rewritten_is_found(rows: list[dict[str, object]], said: str) -> None:
    """A version is never changed, removed or dated back."""
    before = review(version("r1", 100), version("r2", active=True), now=NOW - 2 * DAY)
    (found,) = seen(before, review(*rows)).unrecorded()
    assert re.search(said, found)


def test_a_new_version_in_force_needs_no_deployment() -> None:
    """It is a change by itself."""
    before = review(version("r1", 100, active=True), now=NOW - 2 * DAY)
    assert seen(before, review(version("r1", 100), version("r2", 1, active=True))).unrecorded() == ()


@pytest.mark.parametrize("change", [{"cluster": "8"}, {"now": NOW - 100 * DAY}])
def test_what_is_not_comparable_is_unknown(change: dict[str, Any]) -> None:
    """Another cluster, or a run before the lookback: the baseline begins now, nothing is found and nothing passes."""
    before = review(version("r1", active=True), **{"now": NOW - DAY, **change})
    with pytest.raises(Inconclusive, match="the baseline begins now"):
        seen(before, review(version("r1", active=True))).unrecorded()


def test_instances_are_compared_with_the_history() -> None:
    """Another version, no version, and a name that the history does not have."""
    found = review(version("r1", 100), version("r2", active=True))
    assert found.astray({"one": {"rules": "r2"}}) == ()
    assert found.astray({"one": {"rules": "r1"}, "two": {}, "three": {"rules": "r2", "other": "r1"}}) == (
        "one serves rules r1, the history has r2",
        "two serves rules of no version, the history has r2",
        "three serves other r1, which the history does not have",
    )


def test_one_version_of_each_name_is_in_force() -> None:
    """By `active` where the history has it, by the newest version or deployment where not."""
    two = review(version("r1", active=True), version("r2", active=True), version("x1", name="other"))
    assert list(two.disorder) == ["rules: 2: r1, r2 in force, expected one", "other: 0 in force, expected one"]
    plain = [{key: value for key, value in version(name, days).items() if key != "active"} for name, days in
             (("r1", 9), ("r2", 5))]  # fmt: skip
    assert review(*plain).in_force == {"rules": ("r2",)}
    moved = {"version": "r1", "at": NOW, "author": "kim", "approver": "lee", "ticket": "CHG-9"}
    assert review(*plain, deployments=[moved]).in_force == {"rules": ("r1",)}


class FakeServices:
    """What services answer at one path."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers

    def get(self, name: str, path: str) -> Any:  # noqa: ANN401 - as the probe's
        """The answer, whose field is the value itself."""
        assert path == "/v1/versions"
        value = self.answers[name]
        if isinstance(value, Exception):
            raise value
        status = 503 if value == "away" else 200
        return type("Reply", (), {"status": status, "field": lambda _, name: {"rules": value}[name]})()


def served(config: ServedVersions | None, database: FakeDatabase | None = None, **answers: object) -> Any:  # noqa: ANN401
    """What instances serve, as the target describes it."""
    given = ChangeHistory(history=HISTORY, served=config)
    return versions_served(
        "rules", given, cast("Services", FakeServices(**answers)), lambda: cast("Postgres", database)
    )


def test_what_instances_serve_is_read_as_described() -> None:
    """A version, a table of versions by name, or SQL."""
    over_http = ServedVersions(services=("one", "two"), path="/v1/versions", field="rules")
    assert served(over_http, one="r2", two={"rules": "r2", "x": 3}) == {
        "one": {"rules": "r2"}, "two": {"rules": "r2", "x": "3"},
    }  # fmt: skip
    rows = FakeDatabase(served=[{"instance": "a", "version": "r1"}, {"instance": "a", "name": "x", "version": 2}])
    assert served(ServedVersions(query="SELECT served"), rows) == {"a": {"rules": "r1", "x": "2"}}


def test_an_instance_that_does_not_tell_is_unknown() -> None:
    """Never taken for one that serves the right version."""
    over_http = ServedVersions(services=("one", "two"), path="/v1/versions", field="rules")
    with pytest.raises(Inconclusive, match=r"one: .*answered 503"):
        served(over_http, one="away", two="r2")
    with pytest.raises(Inconclusive, match="two: no answer"):
        served(over_http, one="r2", two=Unreachable("no answer"))
    with pytest.raises(Inconclusive, match=r"add \[changes.rules.served\]"):
        served(None)
    with pytest.raises(Inconclusive, match="no instance reports"):
        served(ServedVersions(query="SELECT served"), FakeDatabase())
    with pytest.raises(Inconclusive, match="no column instance"):
        served(ServedVersions(query="SELECT served"), FakeDatabase(served=[{"version": "r1"}]))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no row; an empty history shows no change"),
        ([{"version": "r1", "at": NOW}], "no column author, approver, ticket"),
        ([version("r1", at="yesterday")], "at is 'yesterday'; expected a time"),
        ([version("r1", active="yes")], "active is 'yes'; expected true or false"),
        ([version("")], "a row without version"),
    ],
)
def test_a_history_that_cannot_be_read_is_unknown(rows: list[dict[str, object]], said: str) -> None:
    """The key of the target and what it has to return are named."""
    with pytest.raises(Inconclusive, match=rf"changes.rules.history: {said}"):
        versions("rules", CONFIG, cast("Postgres", FakeDatabase(versions=rows)))


def test_a_date_and_a_time_without_zone_are_taken_for_utc() -> None:
    """A history may have days only."""
    (day,) = review(version("r1", at=dt.date(2026, 11, 20), active=True)).versions
    (naive,) = review(version("r1", at=dt.datetime(2026, 11, 20))).versions  # noqa: DTZ001 - the case
    assert day.at == naive.at == dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def test_every_kind_of_the_runbook_is_reviewed_or_declared_absent(tmp_path: Path) -> None:
    """A kind that the target forgets is planned and unknown; one that it declares absent has its reason."""
    text = f'{SMALLEST}\n[changes.dsl]\nabsent = "no workflows"\n[changes.recipes]\nhistory = "SELECT 1"\n'
    target = target_in(tmp_path, text)
    assert change_kinds(target) == ("rules", "prompts", Inapplicable("dsl", "no workflows"), "recipes")
    with pytest.raises(Inconclusive, match=r"no history of prompts; add \[changes.prompts\]"):
        described(target, "prompts")
    assert described(target, "recipes").history == "SELECT 1"


@pytest.mark.parametrize(
    "given",
    [{}, {"history": "SELECT 1", "absent": "x"}, {"history": "SELECT 1", "ticket": "("}, {"absent": ""}],
)
def test_a_description_that_means_nothing_is_refused(given: dict[str, str]) -> None:
    """Neither or both, and a pattern that is none."""
    with pytest.raises(ValidationError):
        ChangeHistory(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"path": "/x"}, {"query": "SELECT 1", "path": "/x"}, {"services": ("one",)}])
def test_what_is_served_is_described_in_one_way(given: dict[str, Any]) -> None:
    """Over HTTP whole, or by SQL."""
    with pytest.raises(ValidationError):
        ServedVersions(**given)
