"""A plain PostgreSQL with a plain backup and a target of ten lines: nothing of the judgment platform is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY
from tests.support.primary import FULL, PORT, await_archived, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from pathlib import Path

TARGET = """
name = "plain"
environment = "production"
language = "en"
absent = ["services", "prometheus", "alertmanager", "redis", "mcp", "canary", "inbox", "regions"]
owners = {{ default = "dba" }}
postgres = {{ host = "{home}", port = {port}, dbname = "postgres", login = {{ user = "reader" }}, sslmode = "disable" }}
[recovery]
base_backup = "{home}/base"
wal_archive = "{home}/wal"
ledger = "ledger.sqlite"
"""
SCHEMA = """
DROP TABLE judgment_executions;
CREATE TABLE orders (id bigserial PRIMARY KEY, note text, at timestamptz DEFAULT now());
INSERT INTO orders (note) SELECT 'n' || n FROM generate_series(1, 2000) n;
CREATE ROLE reader LOGIN;
GRANT pg_read_all_data, pg_monitor TO reader;
"""


@pytest.fixture(params=[2, 1, 0], ids=["two commits", "one commit", "no commit"])
def target(open_folder: Path, scratch: Path, request: pytest.FixtureRequest) -> Path:
    """The target file, with its backup and so many commits after it; the database is gone."""
    tools, account = server_tools(18, open_folder)
    home = owned(scratch / "plain", account)
    archive = owned(home / "wal", account)
    with primary(tools, account, home, {"archive_command": f"cp %p {archive}/%f"}) as server:
        succeed(server, SCHEMA)
        where = ("-h", home, "-p", str(PORT), "-U", "postgres", "-D", home / "base", "-X", "none", "-c", "fast")
        tools.succeed("pg_basebackup", *where, "--no-sync", account=account)
        for number in range(request.param):
            succeed(server, f"INSERT INTO orders (note) VALUES ('note {number}')")  # noqa: S608 - written here
            server.row(FULL)
        succeed(server, "CHECKPOINT")  # an archive that goes on, also without commits
        await_archived(server, server.row(FULL)[0])
    path = scratch / "plain.toml"
    path.write_text(TARGET.format(home=home, port=PORT))
    return path


def test_ten_lines_are_enough_for_a_drill(target: Path, scratch: Path) -> None:
    """Backup, WAL, restore, rows, one table alone, indexes and pages are measured; no service, no judgment table."""
    argv = ["verify", "rehearsal", "--target", str(target), "--report-dir", str(scratch / "run")]
    subprocess.run([sys.executable, "-m", "opsverify", *argv], check=False, cwd=REPOSITORY, env=os.environ)
    verdict = json.loads((scratch / "run" / "verdict.json").read_text())
    found = {check["id"]: (check["outcome"], check["message"]) for check in verdict["checks"]}
    measured = {
        "backup.age", "restore.integrity", "restore.wal", "restore.reads_and_writes", "restore.rto", "restore.rpo",
        "restore.rpo_witnesses", "restore.random_table", "consistency.sequences", "consistency.foreign_keys",
        "consistency.unique_keys", "consistency.validity", "consistency.pages", "consistency.indexes",
        "consistency.checksums",
    }  # fmt: skip
    assert {name: found[name] for name in measured if found[name][0] != "pass"} == {}
    assert "rows of public.orders readable" in str(found["restore.reads_and_writes"][1])
    assert [name for name, (outcome, _) in found.items() if outcome == "fail"] == []
