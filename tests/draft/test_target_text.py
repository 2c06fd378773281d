"""Text of a draft: a target that loads, whatever names a database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from opsverify.config.connection_string import postgres_of
from opsverify.config.load import load_target
from opsverify.draft.database import SeenDatabase, SeenMigration, SeenTable, archiving_tool
from opsverify.draft.metrics import SeenMetric, SeenMetrics, guess
from opsverify.draft.target_text import SeenPrometheus, target_text

if TYPE_CHECKING:
    from pathlib import Path

NAMES = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
VALUES = some.lists(NAMES, min_size=1, max_size=3, unique=True).map(lambda values: tuple(sorted(values)))


@settings(max_examples=60)
@given(table=NAMES, column=NAMES, migration=NAMES, job=NAMES, status=VALUES, track=VALUES)
def test_every_draft_loads(
    tmp_path: Path, table: str, column: str, migration: str, job: str, status: tuple[str, ...], track: tuple[str, ...]
) -> None:
    """Names and label values go into it as text, and end neither a line nor a key."""
    rows = SeenTable(table, table, 7, (column,), column, 1, 0, (column,))
    database = SeenDatabase("18.1", standby=False, archives=True, replicas=1, encrypted=False, tables=(rows,),
                            unreadable=(f"{table}: no right to read it",),
                            migration=SeenMigration(column, migration))  # fmt: skip
    metric = SeenMetric("app_requests_total", "counter", {"status": status, "track": track})
    metrics = SeenMetrics((job,), (job,), (metric,), 1)
    prometheus = SeenPrometheus("https://prometheus.example.com", metrics, guess(metrics))
    config = postgres_of("postgresql://ops@db.example.com/shop", "PASSWORD_OF_OPS")
    path = tmp_path / "drafted.toml"
    path.write_text(target_text("drafted", config, database, prometheus), encoding="utf-8")
    target, _ = load_target(path, with_secrets=False)
    assert target.postgres is not None
    assert target.postgres.reads == f"SELECT 1 FROM {table} LIMIT 1"  # noqa: S608 - is sent nowhere
    assert target.postgres.migration is not None
    assert target.postgres.migration.head == migration
    assert target.prometheus is not None
    assert target.prometheus.jobs == (job,)
    assert all(reason.startswith("?") for reason in target.absent.values())


def test_a_draft_of_a_database_alone(tmp_path: Path) -> None:
    """Without a Prometheus its part is absent, for a reason that is a question."""
    database = SeenDatabase("13.9", standby=True, archives=False, replicas=0, encrypted=True, tables=(),
                            unreadable=(), migration=None)  # fmt: skip
    config = postgres_of("host=db dbname=shop user=ops sslmode=verify-full", None)
    path = tmp_path / "drafted.toml"
    path.write_text(target_text("drafted", config, database, None), encoding="utf-8")
    target, _ = load_target(path, with_secrets=False)
    assert {"prometheus", "canary", "services"} <= target.absent.keys()
    assert target.absent["services"].startswith("? not seen")  # its checks hold until somebody says which they are
    assert target.postgres is not None
    assert (target.postgres.writable, target.postgres.archives_wal, target.postgres.reads) == (False, False, "SELECT 1")


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("pgbackrest --stanza=main archive-push %p", ("pgbackrest", "main")),
        ("/usr/bin/pgbackrest --config=/etc/b.conf --stanza shop-1 archive-push '%p'", ("pgbackrest", "shop-1")),
        ("barman-wal-archive backup.example.com shop %p", ("barman", "shop")),
        ("barman-wal-archive -z --user barman backup shop '%p'", ("barman", "shop")),
        ("test ! -f /wal/%f && cp %p /wal/%f", None),
        ("", None),
        ("(disabled)", None),
    ],
)
def test_the_tool_of_the_backups(command: str, found: tuple[str, str] | None) -> None:
    """As the tools' manuals write the command; any other one proposes nothing."""
    assert archiving_tool(command) == found
