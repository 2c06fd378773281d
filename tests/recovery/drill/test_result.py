"""A drill's result: the fields of `drill.json`, and what a check ends with where a part was not reached."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.errors import CheckFailed, Inconclusive
from opsverify.recovery.drill.parts import NO_PLATFORM, NOT_YET, NotReached
from opsverify.recovery.drill.platform import RestoredPlatform
from opsverify.recovery.drill.result import Drill

if TYPE_CHECKING:
    from pathlib import Path

AT = "2026-11-24T02:30:00+00:00"
FINDING = {
    "asked": 1, "of": "tables", "problems": ["lost"], "unknown": None, "notes": [], "losses": [], "keys": None,
    "buckets": 0,
}  # fmt: skip
SOURCE = {
    "name": "archive", "recovered_to": AT, "newest": AT, "lost": 0, "counted": "archived commits", "bound": None,
    "behind_s": 0.0, "absent": None,
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "problems": [], "continuity": None, "segments": 7, "last_commit_at": AT, "target_time": AT,
    "looked_at": "2026-11-24T02:30:09+00:00", "base_backup": "/backups/base", "backup_at": AT, "recovered_to": AT,
    "to_target_s": 3.0, "to_read_write_s": 4.0, "to_validated_s": 5.0, "to_serving_s": 9.5, "timeline": 2, "read": 600,
    "durations": {"copy": 2.0},
    "stages": [
        {"name": "copy", "began_s": 1.0, "seconds": 2.0, "bytes": 4_000_000_000, "segments": None},
        {"name": "recover", "began_s": 3.0, "seconds": 2.0, "bytes": None, "segments": 6},
    ],
    "size": 4_000_000_000,
    "extrapolated": {"size": 500_000_000_000, "low_s": 3600.0, "high_s": 7200.0, "rests_on": "20 slices"},
    "log_errors": ["no"], "log_slow": ["slow"],
    "testimony": {"witnesses": [SOURCE], "tolerance_s": 2.0, "problem": None},
    "table": {
        "table": "public.t", "seed": 3, "candidates": 4, "size": 8192, "rows": 10, "differences": ["one"],
        "ledger_keys": 2, "ledger_differences": [],
    },
    "table_failure": None, "table_hindrance": None, "failure": None, "hindrance": None,
    "facts": {"judgment_executions": {"a": {"rows": 1}}}, "answers": {"pages": FINDING},
    "business": {
        "cleared_at": AT,
        "smoke": {"run_id": "r", "outcome": "fail", "reasons": ["c"], "executed": 25, "passed": ["a", "b"]},
        "cached": {"at": 1.0, "ttl_s": 60.0, "left_s": [30.0, None]},
    },
    "business_hindrance": None,
}  # fmt: skip
UNREACHED: dict[str, Any] = {
    **dict.fromkeys(WHOLE), "problems": ["damaged"], "target_time": AT, "looked_at": AT, "base_backup": "",
    "stages": [], "log_errors": [], "log_slow": [],
}  # fmt: skip


def again(raw: dict[str, Any]) -> dict[str, Any]:
    """Load `raw`, and write it."""
    written: dict[str, Any] = json.loads(Drill.from_dict(raw).dumps())
    return written


def test_a_file_of_an_old_run_is_read_and_written_with_the_same_fields(tmp_path: Path) -> None:
    """Every field of `drill.json` keeps its name, its order and its value."""
    path = tmp_path / "drill.json"
    path.write_text(json.dumps(WHOLE), encoding="utf-8")
    drill = Drill.load(path)
    assert list(json.loads(drill.dumps()).items()) == list(WHOLE.items())
    assert drill.exposure_s == 9.0
    assert drill.took_s == 9.5
    assert drill.pace == "copy 2 GB/s, 3 WAL segments/s, production's 500 GB would take 1h 00m to 2h 00m"


@pytest.mark.parametrize(
    "changes",
    [
        {"failure": "no manifest"},
        {"hindrance": "no room"},
        {"failure": "cannot be read", "segments": 7, "backup_at": AT, "size": 3, "base_backup": "b"},
        {"hindrance": "server gone", "to_target_s": 1.0, "to_read_write_s": 2.0, "timeline": 2, "read": 5,
         "durations": {}, "facts": {"t": {}}},
    ],
    ids=["integrity", "blocked", "restore", "validate"],
)  # fmt: skip
def test_a_drill_that_ended_early_keeps_what_it_reached(changes: dict[str, Any]) -> None:
    """Every part before the end stays; the others stay empty."""
    assert again(UNREACHED | changes) == UNREACHED | changes


@pytest.mark.parametrize(
    ("changes", "error"), [({"failure": "no manifest"}, CheckFailed), ({"hindrance": "no room"}, Inconclusive)]
)
def test_an_early_end_fails_one_check_and_leaves_the_others_inconclusive(
    changes: dict[str, str], error: type[Exception]
) -> None:
    """Only the check that restores fails on a bad backup; every other one measured nothing."""
    (reason,) = changes.values()
    drill = Drill.from_dict(UNREACHED | changes)
    with pytest.raises(error, match=f"^{reason}"):
        drill.require_restored()
    for part in ("archive", "restore", "ledger", "rpo", "validation", "table", "platform", "answers"):
        with pytest.raises(Inconclusive, match=f"^nothing was restored: {reason}"):
            getattr(drill, part)
    assert drill.backup.problems == ("damaged",)
    assert (drill.took_s, drill.extrapolated, drill.pace) == (None, None, "nothing was copied")


@pytest.mark.parametrize(
    ("field", "fault", "error"),
    [("table_failure", "backup", CheckFailed), ("table_hindrance", "environment", Inconclusive)],
)
def test_a_table_that_cannot_be_restored_alone_is_judged_by_its_own_fault(
    field: str, fault: str, error: type[Exception]
) -> None:
    """Also where the drill ended later: the table was tried before."""
    raw = {**WHOLE, "table": None, field: "pg_dump failed", "hindrance": "server gone", "answers": None}
    drill = Drill.from_dict(raw)
    assert drill.parts.table == NotReached("pg_dump failed", fault)  # type: ignore[arg-type]
    with pytest.raises(error, match=r"^pg_dump failed$"):
        _ = drill.table
    with pytest.raises(Inconclusive, match=r"^nothing was restored: server gone$"):
        _ = drill.answers
    assert again(raw) == raw


def test_parts_that_a_target_does_not_have_are_named() -> None:
    """No platform configured; a file of an earlier version without answers."""
    drill = Drill.from_dict({**WHOLE, "business": None, "to_serving_s": None, "answers": None})
    assert (drill.parts.platform, drill.parts.answers) == (NO_PLATFORM, NOT_YET)
    with pytest.raises(Inconclusive, match=r"missing \[recovery.platform\]"):
        _ = drill.platform
    assert drill.took_s == 5.0


def test_a_platform_that_was_blocked_keeps_what_it_reached() -> None:
    """The cache was cleared, the smoke ended without a verdict: the time is known, smoke and cache are not."""
    raw = {**WHOLE, "business": {"cleared_at": AT}, "business_hindrance": "no verdict", "to_serving_s": None}
    platform = RestoredPlatform(Drill.from_dict(raw).platform)
    assert platform.cleared_at.isoformat() == AT
    for part in ("smoke", "cached"):
        with pytest.raises(Inconclusive, match=r"^no verdict$"):
            getattr(platform, part)
    assert again(raw) == raw


def test_an_inconclusive_smoke_decides_nothing() -> None:
    """Its reasons, and where its evidence is."""
    smoke = {**WHOLE["business"]["smoke"], "outcome": "inconclusive", "reasons": ["no samples"]}
    platform = RestoredPlatform(Drill.from_dict({**WHOLE, "business": {"smoke": smoke}}).platform)
    with pytest.raises(Inconclusive, match=r"inconclusive: no samples; see its evidence in smoke/"):
        _ = platform.smoke


@pytest.mark.parametrize("text", ["{}", "[]", "{"])
def test_another_file_is_no_drill(text: str, tmp_path: Path) -> None:
    """A file cut short, or of something else, is reported as such."""
    (tmp_path / "drill.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"no drill|Expecting"):
        Drill.load(tmp_path / "drill.json")
