"""Errors and slow statements in the log of a restored server, without the lines of every start."""

from __future__ import annotations

from opsverify.recovery.postgres.server_log import scan_log

LOG = """\
2026-11-24 02:30:00.1 UTC [1] LOG:  starting PostgreSQL 18.6
2026-11-24 02:30:00.2 UTC [2] FATAL:  the database system is starting up
2026-11-24 02:30:00.2 UTC [2] FATAL:  the database system is not yet accepting connections
2026-11-24 02:30:01.0 UTC [3] WARNING:  page verification failed, calculated checksum 1 but expected 2
2026-11-24 02:30:01.0 UTC [3] ERROR:  invalid page in block 0 of relation "base/5/16384"
2026-11-24 02:30:02.0 UTC [3] ERROR:  invalid page in block 0 of relation "base/5/16384"
2026-11-24 02:30:04.0 UTC [3] LOG:  duration: 1204.881 ms  statement: SELECT count(*) FROM judgment_executions
2026-11-24 02:30:05.0 UTC [1] FATAL:  terminating connection due to administrator command
"""


def test_errors_and_slow_statements_are_found() -> None:
    """Damage and a slow statement, each once; who came too early or stayed too long is no error."""
    look = scan_log(LOG.splitlines())
    assert look.errors == (
        "page verification failed, calculated checksum 1 but expected 2",
        'invalid page in block 0 of relation "base/5/16384"',
    )
    assert look.slow == ("duration: 1204.881 ms  statement: SELECT count(*) FROM judgment_executions",)
