"""PostgreSQL, as `opsverify doctor` finds it: rights, state, and every statement of `[postgres]` tried once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.doctor_findings import DoctorFinding, attempt
from opsverify.errors import OpsVerifyError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.database import Migration, PostgresConfig
    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.postgres import Postgres


def database_findings(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
    """Connection, rights of the role, and what the keys of `[postgres]` say against what the server says."""
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used
    from opsverify.probes.postgres_connection import too_old  # noqa: PLC0415

    config = target.postgres
    if config is None:
        return
    with Postgres(config, secrets.of(config.login.password)) as postgres:
        reached = attempt("postgres", lambda: f"PostgreSQL {postgres.server().version}")
        yield reached
        if not reached.ok:
            return
        if (old := too_old(postgres.major)) is not None:
            yield DoctorFinding("postgres version", ok=False, text=old, lacking=True)
        yield from _rights(postgres, config, target)
        yield attempt("postgres.writable", lambda: _writable(postgres, config))
        if config.archives_wal:
            yield attempt("postgres.archives_wal", lambda: _archiving(postgres))
        yield attempt("postgres.reads", lambda: _reads(postgres, config.reads))
        if target.has("dead_letters"):
            yield attempt("postgres.dead_letters", lambda: _dead_letters(postgres, config.dead_letters))
        if (migration := config.migration) is not None:
            yield attempt("postgres.migration", lambda: _migration(postgres, migration))


def _rights(postgres: Postgres, config: PostgresConfig, target: Target) -> Iterator[DoctorFinding]:
    rights, role = postgres.rights(), config.login.user
    writes = rights.superuser or rights.can_write
    yield DoctorFinding(
        "postgres rights",
        not writes,
        say("{role} may write; use a role that may only read", role=role)
        if writes
        else say("{role} may only read", role=role),
    )
    yield DoctorFinding(
        "postgres pg_monitor",
        rights.pg_monitor,
        say("granted")
        if rights.pg_monitor
        else say("missing, replication is not measured; GRANT pg_monitor TO {role}", role=role),
    )
    if "statements" in target.absent:
        return
    kept = rights.pg_stat_statements
    yield DoctorFinding(
        "postgres pg_stat_statements",
        kept,
        say("installed")
        if kept
        else say(
            "missing, slow queries are not measured; CREATE EXTENSION pg_stat_statements, or declare "
            "`statements` absent"
        ),
        lacking=True,
    )


def _writable(postgres: Postgres, config: PostgresConfig) -> str:
    server = postgres.server()
    writable = not (server.in_recovery or server.read_only)
    if writable != config.writable:
        raise OpsVerifyError(
            say("takes no writes; correct the host, or set postgres.writable = false")
            if config.writable
            else say("takes writes; correct the host, or set postgres.writable = true")
        )
    return say("takes writes") if writable else say("takes no writes, as declared")


def _archiving(postgres: Postgres) -> str:
    if not postgres.archiver().enabled:
        raise OpsVerifyError(say("archive_mode is off; switch it on, or set postgres.archives_wal = false"))
    return say("archive_mode is on")


def _reads(postgres: Postgres, statement: str) -> str:
    try:
        elapsed = postgres.timed(statement).elapsed_s
    except OpsVerifyError as error:
        text = say("{error}; name a small read of a core table in postgres.reads", error=error)
        raise OpsVerifyError(text) from error
    return say("read in {elapsed:.0f} ms", elapsed=elapsed * 1000)


def _dead_letters(postgres: Postgres, statement: str) -> str:
    try:
        queue = postgres.row(statement)
        waiting, _ = queue.waiting, float(queue.oldest_s)
    except (OpsVerifyError, AttributeError, TypeError, ValueError) as error:
        text = say(
            "{error}; postgres.dead_letters: expected one row with waiting and oldest_s; correct it, or declare "
            "`dead_letters` absent",
            error=error,
        )
        raise OpsVerifyError(text) from error
    return say("dead letters waiting: {waiting}", waiting=waiting)


def _migration(postgres: Postgres, migration: Migration) -> str:
    found = postgres.revision(migration)
    if found != migration.head:
        raise OpsVerifyError(
            say(
                "revision {found}, expected {head}; run the migrations, or correct postgres.migration.head",
                found=found,
                head=migration.head,
            )
        )
    return say("revision {found}", found=found)
