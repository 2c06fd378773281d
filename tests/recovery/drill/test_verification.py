"""Questions to a drill's restored server: no problem when the backup is whole, else one that names the damage."""

from __future__ import annotations

import itertools
import json
import os
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.recovery.verify.examination import examine, examine_stopped, start_again
from opsverify.recovery.verify.finding import Finding
from tests.support.drills import recorded, restored
from tests.support.wreck import detach

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.restore.restored_server import RestoredServer
    from tests.support.wreck import Disaster


def _examined(server: RestoredServer, history: History | None, data: Path) -> dict[str, Finding]:
    answers = examine(server, "postgres", data, history) | examine_stopped(server, data, history)
    return {name: Finding.from_dict(raw) for name, raw in json.loads(json.dumps(answers)).items()}


@pytest.fixture(scope="module")
def healthy(disaster: Disaster, open_folder: Path) -> tuple[History, dict[str, str], dict[str, Finding]]:
    """Restore once: what the ledger would have recorded, where tables are, and every answer of the whole server."""
    scratch = open_folder / "whole-again"
    scratch.mkdir()
    history, paths = recorded(disaster, scratch)
    with restored(disaster, disaster.base, scratch) as server:
        return history, paths, _examined(server, history, scratch / "data")


def test_a_whole_backup_has_no_problem(healthy: tuple[History, dict[str, str], dict[str, Finding]]) -> None:
    """Every question has an answer, and none a problem; checksums and pg_amcheck included."""
    history, _, answers = healthy
    assert {"pages", "indexes", "checksums", "buckets/judgment_executions", "catalog/grants"} <= answers.keys()
    assert {name: answer for name, answer in answers.items() if answer.problems or answer.unknown} == {}
    assert history.tables["judgment_executions"].rows > 500


def test_a_damaged_backup_is_reported_with_what_it_lost(
    disaster: Disaster,
    base_copy: Path,
    scratch: Path,
    healthy: tuple[History, dict[str, str], dict[str, Finding]],
) -> None:
    """A byte flipped in one table and the tail of another gone: the findings name both, the other questions go on."""
    history, paths, _ = healthy
    torn = detach(base_copy / paths["judgment_executions"])
    content = bytearray(torn.read_bytes())
    content[8192 + 4000] ^= 0xFF
    torn.write_bytes(content)
    short = detach(base_copy / paths["fact_daily_production"])
    short.write_bytes(b"")
    for path in (torn, short):
        path.chmod(0o644)
    with restored(disaster, base_copy, scratch) as server:
        answers = _examined(server, history, scratch / "data")
    wrong = {name: answer.problems for name, answer in answers.items() if answer.problems}
    assert wrong.keys() >= {"buckets/judgment_executions", "buckets/fact_daily_production", "indexes", "checksums"}
    assert "invalid page in block 1" in wrong["buckets/judgment_executions"][0]
    assert wrong["buckets/fact_daily_production"][0].endswith("12 of 12 rows missing")
    assert "block 1" in wrong["checksums"][0]
    assert "public.fact_daily_production lost its tail: 0 pages" in wrong["pages"][0]
    assert "buckets/judgment_executions" not in {name for name, answer in answers.items() if answer.unknown}


def test_without_a_ledger_all_other_questions_are_answered(disaster: Disaster, scratch: Path) -> None:
    """A rehearsal without a ledger is inconclusive in the ledger's checks; consistency and storage do not need one."""
    with restored(disaster, disaster.base, scratch) as server:
        answers = _examined(server, None, scratch / "data")
    assert {"sequences", "pages", "indexes", "checksums"} <= answers.keys()
    assert not any(name.startswith(("buckets/", "catalog/")) for name in answers)


def test_a_server_that_ends_while_it_is_examined_is_started_again_and_asked_once_more(
    disaster: Disaster, scratch: Path
) -> None:
    """Whoever reads the index first ends the server, once; each question is answered all the same."""
    with restored(disaster, disaster.base, scratch) as server:
        once = scratch / "data" / "ended"
        deadly = f"cat > /dev/null; test -e {once} || {{ touch {once}; kill -9 $PPID; }}"
        ending = f"COPY (SELECT) TO PROGRAM '{deadly}'"
        calling = "BEGIN PERFORM public.ends(); RETURN n; END"
        for statement in (
            f"CREATE FUNCTION ends() RETURNS void LANGUAGE plpgsql AS $$BEGIN {ending}; END$$",
            f"CREATE FUNCTION same(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $${calling}$$",
            "CREATE TABLE deadly AS SELECT generate_series(1, 3) AS n",
            f"COPY (SELECT) TO PROGRAM 'cat > {once}'",
            "CREATE UNIQUE INDEX deadly_n ON deadly (same(n))",
            f"COPY (SELECT) TO PROGRAM 'cat; rm {once}'",
        ):
            done = server.server.psql(statement)
            assert done.exit_code == 0, done.stderr
        answers = _examined(server, None, scratch / "data")
        assert once.exists()
    assert {"unique_keys", "pages", "indexes"} <= answers.keys()
    assert {name: answer for name, answer in answers.items() if answer.problems or answer.unknown} == {}
    assert answers["indexes"].notes


def test_a_server_that_is_about_to_end_is_awaited_and_started_again(
    disaster: Disaster, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses sessions and has not ended: on a busy machine that takes a while, and says nothing of its data."""
    with restored(disaster, disaster.base, scratch) as restored_server:
        server, pauses = restored_server.server, itertools.count()
        pause, session = server.pause, psycopg.connect(restored_server.dsn)
        pid = int((scratch / "data" / "postmaster.pid").read_text().partition("\n")[0])
        os.kill(pid, signal.SIGTERM)  # a smart shutdown: it ends with its last session
        while server.psql("SELECT 1").exit_code == 0:
            pause()

        def later() -> None:
            if next(pauses) == 2:
                session.close()
            pause()

        monkeypatch.setattr(server, "pause", later)
        start_again(server)
        assert server.psql("SELECT 1").exit_code == 0
        assert next(pauses) > 2
