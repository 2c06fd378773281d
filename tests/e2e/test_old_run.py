"""Files of a real earlier run (commit 67b3a79, before the packages were moved), read by today's code.

`old_run/` holds what that version's sandbox left: a rehearsal's drill and verdict, a canary's observation, RPO sources
of post-dr, an incident's timeline, the ledger.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from opsverify.canary.replay import replay
from opsverify.errors import Inconclusive
from opsverify.incident.timeline import read
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.ledger.history import History
from opsverify.recovery.ledger.ledger import Ledger
from opsverify.recovery.rpo.measure import RpoMeasurement

OLD = Path(__file__).parent / "old_run"
LATER = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def test_a_drill_is_read_whole() -> None:
    """Every part of an accepted rehearsal is there, with its values."""
    drill = Drill.load(OLD / "drill.json")
    assert drill.archive.segments == 4
    assert drill.restore.recovered_to == "2026-11-28T12:46:08.330836+00:00"
    assert drill.restore.to_target_s < drill.restore.to_read_write_s < drill.validation.to_validated_s
    assert set(drill.ledger.found) == {"judgment_executions", "workflow_instances", "fact_daily_production"}
    assert drill.table.differences == ()
    assert drill.platform.smoke is not None


def test_an_observation_replays_to_its_decision() -> None:
    """The canary with one third of its requests failing: rollback, its exit code, its reason."""
    printed: list[str] = []
    assert replay(OLD, printed.append) == 1
    assert "error_rate 33.3% (< 1%) n=6" in printed[-3]
    assert printed[-1] == "  because alert JudgmentErrorRateHigh fires on the canary\n"


def test_rpo_sources_are_read() -> None:
    """Two sources with their losses, and the problem that kept them from being accepted."""
    measured = RpoMeasurement.load(OLD / "testimony.json")
    assert [(source.name, source.lost) for source in measured.sources] == [("heartbeat", 1), ("archive", 20)]
    with pytest.raises(Inconclusive, match="past the recovery target"):
        measured.loss()


def test_a_timeline_is_read_and_continued_from(tmp_path: Path) -> None:
    """Two events whose chain holds; the third one of the checklist comes next."""
    folder = tmp_path / "20261128T124810Z-sandbox-87b4"
    folder.mkdir()
    shutil.copy(OLD / "timeline.jsonl", folder)
    incident = read(folder)
    assert [event.step for event in incident.events] == ["declare", "backup"]
    assert incident.next_step is not None
    assert incident.next_step.name == "restore"


def test_a_ledger_is_read_and_its_chain_holds(tmp_path: Path) -> None:
    """One record with five tables: closed buckets, rows and the catalog."""
    path = tmp_path / "ledger.sqlite"
    shutil.copy(OLD / "ledger.sqlite", path)
    ledger = Ledger(path)
    assert ledger.verify_chain().records == 1
    assert ledger.verify_chain().broken is None
    history = History.of(ledger.bodies_until(LATER))
    assert history.tables["workflow_instances"].rows == 708
    assert history.catalog is not None
