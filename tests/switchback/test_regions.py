"""Regions: what a target may describe, where a timeline came from, and what a switch needs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.config.run_options import overridden
from opsverify.core.attestation import read_attestation
from opsverify.errors import Inconclusive, TargetError
from opsverify.recovery.wal.timelines import timeline_path
from opsverify.switchback.described import core_tables, dr_is_standby, require_regions, resolvers
from opsverify.switchback.regions import RegionPair
from tests.support.target_file import REGIONS, SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.config.model import Target


ABSENT = SMALLEST.replace('"recovery"]', '"recovery", "regions"]')


def regions_of(target: Target, stage: str = "switchback") -> RegionPair:
    """The regions as a check gets them, without connections."""
    nothing = None
    now = dt.datetime.now(dt.UTC)
    return RegionPair(require_regions(target), stage, "run-1", now, nothing, nothing, nothing, nothing)  # type: ignore[arg-type]


def test_a_described_target(tmp_path: Path) -> None:
    """Name and port come from the URL that clients use; paths are relative to the file."""
    trusted = REGIONS.replace("ttl =", 'ca_file = "tls/authority.pem"\nttl =')
    config = require_regions(target_in(tmp_path, f"{SMALLEST}{trusted}"))
    assert (config.name, config.port, config.ttl_s) == ("judgment.example.com", 443, 60)
    assert (config.wal_archive, config.ca_file) == (str(tmp_path / "wal"), str(tmp_path / "tls/authority.pem"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"10.0.0.1:22"', '"10.0.0.1"', "regions.original.closed.0: "),
        ('"10.0.0.1:22"', '"10.0.0.1:99999"', "has no port: expected such as"),
        ('switchback = "reverse"', 'switchback = "both"', "regions.switchback: "),
        ('ttl = "60s"', 'ttl = "60"', "is not a duration"),
        ('addresses = ["10.1.0.1"]', "addresses = []", "regions.dr.addresses: "),
        ('marker = "pus"', 'mark = "pus"', "regions.dr.mark: unknown key; did you mean 'marker'?"),
        ('key = ["id"]', "key = []", "regions.tables.0.key: "),
    ],
)
def test_faults_of_the_file_are_reported(tmp_path: Path, before: str, after: str, said: str) -> None:
    """Each fault is one line with its key."""
    with pytest.raises(TargetError) as raised:
        target_in(tmp_path, SMALLEST + REGIONS.replace(before, after))
    assert any(said in problem for problem in raised.value.problems), raised.value.problems


def test_a_target_without_regions_holds_unless_they_are_absent(tmp_path: Path) -> None:
    """A target without [regions] does not skip their checks; one that declares them absent does."""
    silent, absent = target_in(tmp_path), target_in(tmp_path, ABSENT)
    questions: tuple[Callable[[Target], object], ...] = (require_regions, resolvers, core_tables)
    for ask in questions:
        with pytest.raises(Inconclusive, match=r"missing \[regions\]"):
            ask(silent)
    assert resolvers(absent) == core_tables(absent) == ()
    assert dr_is_standby(silent)


def test_no_table_to_compare_is_no_comparison(tmp_path: Path) -> None:
    """Without core tables nothing proves that the regions hold the same."""
    lines = [line for line in REGIONS.splitlines() if not line.startswith("tables")]
    with pytest.raises(Inconclusive, match="name the core tables"):
        core_tables(target_in(tmp_path, SMALLEST + "\n".join(lines)))


def test_the_stage_decides_which_region_has_to_serve(tmp_path: Path) -> None:
    """After a disaster the DR region, after the switchback the original one."""
    target = target_in(tmp_path, SMALLEST + REGIONS)
    assert regions_of(target, "switchback").expected.marker == "icn"
    assert regions_of(target, "post-dr").expected.marker == "pus"
    assert regions_of(target).owner_of("10.1.0.1") == "10.1.0.1 (dr)"
    assert regions_of(target).owner_of("10.9.9.9") == "10.9.9.9 (of neither region)"


def test_the_moment_of_the_switch_has_to_be_said(tmp_path: Path) -> None:
    """It is never guessed: --switched-at gives it, and without it there is no verdict."""
    target = target_in(tmp_path, SMALLEST + REGIONS)
    with pytest.raises(Inconclusive, match="--switched-at"):
        _ = regions_of(target).switched_at
    moved = overridden(target, "switchback", {"switched_at": "2026-11-22T20:00:00+09:00"})
    assert regions_of(moved).switched_at == dt.datetime(2026, 11, 22, 11, tzinfo=dt.UTC)
    with pytest.raises(Inconclusive, match="outage_at"):
        _ = regions_of(moved).span
    with pytest.raises(TargetError, match="--switched-at noon"):
        overridden(target, "switchback", {"switched_at": "noon"})


def test_where_a_timeline_came_from(tmp_path: Path) -> None:
    """The history names divergence and switchback; the first timeline has neither; a missing file holds."""
    (tmp_path / "00000003.history").write_text("1\t0/C49708\tno target\n2\t0/D000A0\tno target\n", encoding="utf-8")
    (tmp_path / "00000002.history").write_text("1\t0/C49708\tno target\n", encoding="utf-8")
    (tmp_path / "00000005.history").write_text("1\tnonsense\n", encoding="utf-8")
    path = timeline_path(tmp_path, 3)
    assert path.passed is not None
    assert (path.passed.timeline, path.passed.size) == (2, 0xD000A0 - 0xC49708)
    assert "from 0/C49708 (divergence) to 0/D000A0" in path.passed.text
    assert [path.descends_from(number) for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert timeline_path(tmp_path, 1).passed is timeline_path(tmp_path, 2).passed is None
    with pytest.raises(Inconclusive, match=r"00000004\.history"):
        timeline_path(tmp_path, 4)
    with pytest.raises(Inconclusive, match="could not be parsed"):
        timeline_path(tmp_path, 5)


def test_a_report_without_impact_is_no_report(tmp_path: Path) -> None:
    """Fields that a record must have beyond the usual ones are required."""
    at = dt.datetime.now(dt.UTC).replace(microsecond=0)
    lines = ['release = "1"', 'what = "x"', 'by = "a"', 'signed_off_by = "b"', f"at = {at.isoformat()}"]
    (tmp_path / "report.toml").write_text("\n".join(lines), encoding="utf-8")
    target = target_in(tmp_path, SMALLEST + '[attestations.switchback]\nrecord = "report.toml"')
    assert read_attestation(target, "switchback", at).by == "a"
    with pytest.raises(Inconclusive, match="impact is missing"):
        read_attestation(target, "switchback", at, ("impact",))
