"""A whole drill on a real backup: its stages, its RPO sources, and what is at fault when it ends early."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import shutil
import socket
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from opsverify.config.database import Login
from opsverify.config.recovery import Heartbeat
from opsverify.errors import CheckFailed, Inconclusive
from opsverify.recovery.drill import steps
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.drill.run import run_drill
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination
from opsverify.recovery.rpo import measure
from opsverify.recovery.rpo.heartbeat_log import HeartbeatLog
from opsverify.report.html import render
from opsverify.report.publish import publish_rehearsal
from opsverify.report.rehearsal import page_of
from tests.support.drills import recovery
from tests.support.wreck import detach, heartbeat_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.wreck import Disaster


@pytest.fixture(scope="module")
def healthy(disaster: Disaster, open_folder: Path) -> Path:
    """Run one drill for all tests of a healthy one; its file."""
    folder = open_folder / "healthy"
    folder.mkdir(mode=0o755)
    drilling(disaster, folder)
    return folder / "drill.json"


@pytest.fixture
def drilled(disaster: Disaster, scratch: Path) -> Callable[..., Drill]:
    """Run a drill in a scratch folder; arguments change its target."""
    return partial(drilling, disaster, scratch)


def drilling(disaster: Disaster, scratch: Path, until: dt.datetime | None = None, **changes: Any) -> Drill:  # noqa: ANN401
    """Run a drill up to `until` (`between`); `changes` are fields of the target's [recovery]."""
    shown: list[str] = []
    kept = io.StringIO()
    where = recovery(disaster, scratch, until or disaster.between, **changes)
    run_drill(where, "postgres", None, {}, kept, shown.append, scratch)
    assert all(line.startswith("rehearsal: ") for line in shown)
    path = scratch / "drill.json"
    path.write_text(kept.getvalue(), encoding="utf-8")
    return Drill.load(path)


def test_a_drill_times_every_stage_and_reads_three_rpo_sources(disaster: Disaster, healthy: Path) -> None:
    """To target, to read and write, to validated; the loss after the target; no file is left over."""
    drill = Drill.load(healthy)
    assert (drill.ended, drill.validation.log_errors) == (None, ())
    assert [stage.name for stage in drill.stages] == [
        "integrity", "continuity", "preflight", "prepare", "copy", "recover", "read_only", "promote", "write_probe",
        "validate", "catalog", "random table", "examine", "checksums", "teardown",
    ]  # fmt: skip
    assert 0 < drill.restore.to_target_s < drill.restore.to_read_write_s < drill.validation.to_validated_s
    assert drill.extrapolated is not None
    assert drill.extrapolated.low_s <= drill.extrapolated.high_s
    assert drill.table.differences == ()
    manifest = (disaster.backup.path / "backup_manifest").read_bytes()
    assert drill.backup.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    loss = drill.rpo.loss()
    heartbeat, archive, server = loss.sources
    assert heartbeat.lost == 2
    assert archive.lost == 5
    assert archive.recovered_to == server.recovered_to
    assert loss.recovered_to is not None
    assert loss.newest is not None
    assert loss.recovered_to < disaster.between < loss.newest
    assert [path.name for path in healthy.parent.iterdir()] == ["drill.json"]


def test_a_heartbeat_that_cannot_be_read_leaves_the_loss_unknown(disaster: Disaster, scratch: Path) -> None:
    """Configured, but its log is missing: the other two sources do not outvote it."""
    silent = Heartbeat(log=str(scratch / "nowhere.log"), login=Login(user="postgres"))
    with pytest.raises(Inconclusive, match=r"heartbeat log .* cannot be read"):
        measured(disaster, scratch, silent).loss()


def test_rows_missing_before_the_target_are_no_small_loss(disaster: Disaster, scratch: Path) -> None:
    """A beat in the log that is not in the database, long before the target: the sources contradict each other."""
    beats = HeartbeatLog(disaster.heartbeat_log).read()
    log = HeartbeatLog(scratch / "heartbeat.log")
    for beat in (replace(beats[0], number=2, at=disaster.backup.started_at - dt.timedelta(minutes=1)), *beats):
        log.append(beat)
    with pytest.raises(Inconclusive, match="beat 2"):
        measured(disaster, scratch, Heartbeat(log=str(log.path), login=Login(user="postgres")), present=[1, 3]).loss()


def measured(
    disaster: Disaster, scratch: Path, heartbeat: Heartbeat, present: Sequence[int] = (1, 2, 3)
) -> measure.RpoMeasurement:
    """The RPO of a restore to `between`, in which the beats `present` were restored."""
    where = recovery(disaster, scratch, disaster.between, heartbeat=heartbeat)
    inputs = measure.RpoInputs(where, disaster.backup, disaster.archive, disaster.tools)
    return inputs.of_drill(disaster.between, disaster.between, disaster.end, lambda _table: present)


def test_a_break_in_the_archive_is_the_backups_fault(
    disaster: Disaster, drilled: Callable[..., Drill], archive_copy: Path
) -> None:
    """The target lies after a missing segment: a failure, and nothing is copied."""
    sorted(path for path in archive_copy.iterdir() if len(path.name) == 24)[-2].unlink()
    drill = drilled(disaster.end, wal_archive=str(archive_copy))
    assert "is missing" in (drill.failure or "")
    assert drill.archive.gap is not None
    assert "copy" not in {stage.name for stage in drill.stages}
    with pytest.raises(CheckFailed, match="is missing"):
        drill.require_restored()
    with pytest.raises(Inconclusive, match=r"nothing was restored: .*is missing"):
        _ = drill.restore


@pytest.mark.parametrize(("room", "reason"), [(True, "after the last archived commit"), (False, "1,000 bytes free")])
def test_what_this_machine_or_the_target_lacks_is_no_failure_of_the_backup(
    disaster: Disaster,
    drilled: Callable[..., Drill],
    monkeypatch: pytest.MonkeyPatch,
    *,
    room: bool,
    reason: str,
) -> None:
    """A disk without room, a target out of reach: nothing is known about the backup."""
    usage = shutil.disk_usage(disaster.base)
    if not room:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    drill = drilled(disaster.end + dt.timedelta(days=9999) if room else disaster.between)
    assert drill.failure is None
    assert reason in (drill.blocked or "")
    with pytest.raises(Inconclusive, match=reason):
        drill.require_restored()


def test_no_other_process_is_given_the_port_of_the_restored_server(
    drilled: Callable[..., Drill], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of hours lies between its choice and the server's start."""

    def instead(plan: RestorePlan) -> None:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", plan.destination.port))
        raise Inconclusive("as far as this")

    monkeypatch.setattr(steps, "restore", instead)
    assert drilled().blocked == "as far as this"


def test_a_damaged_table_is_the_backups_fault(drilled: Callable[..., Drill], base_copy: Path) -> None:
    """A page whose bytes were flipped: pg_verifybackup names the file, and the restored database cannot be read."""
    path = _heap_with(base_copy, b"smoke")
    content = bytearray(detach(path).read_bytes())
    content[100:200] = bytes(255 - byte for byte in content[100:200])
    path.write_bytes(content)
    drill = drilled(base_backup=str(base_copy), random_tables=("judgment_executions",))
    assert any(path.name in problem for problem in drill.backup.problems)
    assert "cannot be read" in (drill.failure or "")


def test_the_page_of_a_rehearsal_is_complete_in_itself(healthy: Path, scratch: Path) -> None:
    """Both languages, every stage, the RPO sources; no address that a browser would request."""
    folder = scratch / "20261124T025840Z-rehearsal-f6e6"
    folder.mkdir()
    shutil.copyfile(healthy, folder / "drill.json")
    check = {
        "id": "restore.rto", "title": {"ko": "RTO", "en": "RTO"}, "outcome": "fail", "message": "5h <to> validated",
        "owner": "me", "limit": "<= 14400", "measured": 18000.0,
    }  # fmt: skip
    verdict = {
        "run_id": folder.name, "stage": "rehearsal", "target": "t", "language": "en", "decision": "reject",
        "started_at": "2026-11-24T02:58:40.000Z", "checks": [check],
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")
    page = publish_rehearsal(folder, scratch).read_text(encoding="utf-8")
    assert render(page_of(folder, None)) == page
    for expected in (
        "DR 복구 리허설",
        "Disaster recovery rehearsal",
        "replay to the target",
        "하트비트",
        "5h &lt;to&gt;",
    ):
        assert expected in page
    assert "http" not in page
    assert "<script" not in page


def test_a_writer_outlives_the_database_and_never_gives_a_number_twice(
    disaster: Disaster, scratch: Path, port: int
) -> None:
    """Database down: the writer waits. Restored to a time before: numbers go on after the log's, old beats are lost."""
    log = scratch / "heartbeat.log"
    shutil.copyfile(disaster.heartbeat_log, log)
    shown: list[str] = []
    writer = heartbeat_writer(scratch / "nowhere", log)
    writer.say = shown.append
    stop = threading.Event()
    writer.log.repair()
    writer._try()
    assert "heartbeat silent" in shown[0]
    destination = Destination(
        scratch / "data", scratch / "s", port, settings={"shared_buffers": "16MB", "fsync": "off"}
    )
    with restore(RestorePlan(disaster.base, disaster.archive, destination, disaster.between)) as server:
        writer = heartbeat_writer(scratch / "s", log, server.port)
        writer.run(stop, beats=2)
        acknowledged = writer.log.read()
        assert [beat.number for beat in acknowledged] == [1, 2, 3, 4, 5, 6, 7]
        assert [beat.timeline for beat in acknowledged] == [1] * 5 + [2] * 2
        with psycopg.connect(server.dsn) as database:
            rows = database.execute("SELECT number FROM opsverify.heartbeat ORDER BY 1").fetchall()
        assert [number for (number,) in rows] == [1, 2, 3, 6, 7]
        shutil.copyfile(scratch / "data" / "pg_wal" / "00000002.history", scratch / "00000002.history")
    archive = shutil.copytree(disaster.archive, scratch / "wal")
    shutil.move(scratch / "00000002.history", archive)
    changes = {"wal_archive": str(archive), "heartbeat": Heartbeat(log=str(log), login=Login(user="postgres"))}
    inputs = measure.RpoInputs(
        recovery(disaster, scratch, disaster.between, **changes), disaster.backup, archive, disaster.tools
    )
    loss = inputs.of_recovered(server.recovered_to, 2, disaster.between, lambda _table: [1, 2, 3, 6, 7]).loss()
    assert (loss.sources[0].lost, loss.sources[1].lost) == (2, 5)


def test_a_database_that_was_never_recovered_lost_nothing(disaster: Disaster, scratch: Path) -> None:
    """On the backup's own timeline no history was left; the server's NULL is reported, not counted."""
    inputs = measure.RpoInputs(
        recovery(disaster, scratch, disaster.between), disaster.backup, disaster.archive, disaster.tools
    )
    loss = inputs.of_recovered(None, 1, disaster.between, lambda _table: range(1, 6)).loss()
    assert (loss.seconds, loss.at_least, loss.at_most) == (pytest.approx(0, abs=1), 0, 0)
    assert "server is absent" in str(loss)


def _heap_with(base: Path, text: bytes) -> Path:
    """The file of the table that holds `text`: the server that could be queried is gone."""
    files = (path for path in (base / "base").rglob("[0-9]*") if path.is_file())
    return next(path for path in files if text in path.read_bytes())
