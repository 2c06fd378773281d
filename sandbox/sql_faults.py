"""Faults made by SQL or by Alembic: settings, extensions, revisions, and rows that are lost or added.

Rows taken away are kept in a file in the data folder, so that switching off restores exactly those.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, LiteralString, Protocol

from psycopg import sql

from opsverify.language.message import say
from sandbox import restore_faults, review_faults
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.parts import Parts
    from sandbox.postgres import Cluster

_ARCHIVER_DEADLINE_S = 60
_ARCHIVER_FAILS = """
    SELECT coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL) FROM pg_stat_archiver
"""

_HANGS_S = 6.0
_OLDEST_WAITING_S = """
    SELECT coalesce(extract(epoch FROM now() - min(modification)), 0)::float8
      FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'
"""

_LOST: dict[str, tuple[LiteralString, LiteralString]] = {
    "rows_lost": (
        "fact_daily_production",
        "date = current_date - 2 AND line_code = 'L03'",
    ),
    "log_removed_early": ("llm_calls", "created_at < now() - interval '3 hours'"),
    "rows_lost_judgments": (
        "judgment_executions",
        """created_at BETWEEN now() - interval '1 day' AND now() - interval '3 hours'
           AND synthetic_tag IS NULL AND mod(abs(hashtext(id::text)), 10) = 0""",
    ),
    "rows_lost_workflows": (
        "workflow_instances",
        """started_at BETWEEN now() - interval '1 day' AND now() - interval '3 hours'
           AND synthetic_tag IS NULL AND status = 'COMPLETED' AND mod(abs(hashtext(id::text)), 10) = 0
           AND NOT EXISTS (SELECT FROM workflow_dead_letters WHERE instance_id = workflow_instances.id)""",
    ),
    "prompts_lost": ("prompt_versions", "NOT active"),
}
"""Fault -> table and condition of the rows it takes away.

None of the last hours: a row that is put back counts as written now, which only a closed bucket does not tell.
"""

_ADDED_PRODUCT = "P-EXTRA"
_BAD_RULES = "r13"
_WRONG_UTTERANCE = "3번 라인을 멈춰줘"


class Action(Protocol):
    """What switches a fault of one kind."""

    def __call__(self, parts: Parts, name: str, /, *, on: bool) -> None:
        """Switch the fault `name`; what is so already stays so."""


def carry_out(parts: Parts, name: str, *, on: bool) -> None:
    """Switch a fault of kind `sql`."""
    ACTIONS[name](parts, name, on=on)


def _lose_rows(parts: Parts, name: str, *, on: bool) -> None:
    kept = parts.settings.data_dir / f"{name}.rows"
    if on:
        _lose(parts.cluster, *_LOST[name], kept)
    else:
        _put_back(parts.cluster, _LOST[name][0], kept)


def _change_cluster(parts: Parts, name: str, *, on: bool) -> None:
    _OF_CLUSTER[name](parts.cluster, on=on)


def _change_restored(parts: Parts, name: str, *, on: bool) -> None:
    restore_faults.change(parts.cluster, name, on=on)


def _change_reviewed(parts: Parts, name: str, *, on: bool) -> None:
    review_faults.change(parts.cluster, name, on=on)


def _migrate(parts: Parts, _name: str, *, on: bool) -> None:
    parts.platform.migrate("downgrade" if on else "upgrade")


def _lose(cluster: Cluster, table: LiteralString, condition: LiteralString, kept: Path) -> None:
    taking = sql.SQL("COPY (DELETE FROM {} WHERE {} RETURNING *) TO STDOUT").format(
        sql.Identifier(table), sql.SQL(condition)
    )
    # Appended: a restore brings rows back, and losing them once more must not forget the first ones.
    with (
        cluster.superuser() as connection,
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy(taking) as rows,
        kept.open("ab") as file,
    ):
        file.writelines(rows)


def _put_back(cluster: Cluster, table: LiteralString, kept: Path) -> None:
    if not kept.exists():
        return
    name = sql.Identifier(table)
    with cluster.superuser() as connection, connection.transaction(), connection.cursor() as cursor:
        # By way of a copy: a restore may have brought some of them back meanwhile.
        cursor.execute(sql.SQL("CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM {} WITH NO DATA").format(name))
        with cursor.copy("COPY kept FROM STDIN") as rows:
            rows.write(kept.read_bytes())
        cursor.execute(
            sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM kept ON CONFLICT DO NOTHING").format(name)
        )
    kept.unlink()


def _add_rows(cluster: Cluster, *, on: bool) -> None:
    with cluster.superuser() as connection, connection.transaction():
        connection.execute("DELETE FROM fact_daily_production WHERE product_code = %s", [_ADDED_PRODUCT])
        if on:
            connection.execute(
                "INSERT INTO fact_daily_production"
                " (date, line_code, product_code, planned_qty, produced_qty, defect_qty, runtime_min)"
                " VALUES (current_date - 2, 'L04', %s, 100, 100, 1, 60)",
                [_ADDED_PRODUCT],
            )


def _flood_alarms(cluster: Cluster, *, on: bool) -> None:
    with cluster.superuser() as connection, connection.transaction():
        if on:
            # A new version, so that nothing of the one before is changed.
            connection.execute(
                "INSERT INTO rule_versions (version, body, changed_by, change_reason)"
                " SELECT %s, jsonb_set(body, '{alarm,temperature}', '60'), 'kim.jh', 'limits typed by hand'"
                " FROM rule_versions WHERE active ON CONFLICT DO NOTHING",
                [_BAD_RULES],
            )
    activate_rules(cluster, newest=on)
    if not on:
        with cluster.superuser() as connection:
            connection.execute("DELETE FROM rule_versions WHERE version = %s", [_BAD_RULES])


def activate_rules(cluster: Cluster, *, newest: bool) -> None:
    """Make the newest rule version the active one, or the newest that is not the faulty one."""
    with cluster.superuser() as connection, connection.transaction():
        connection.execute("UPDATE rule_versions SET active = false WHERE active")
        connection.execute(
            "UPDATE rule_versions SET active = true WHERE version = (SELECT version FROM rule_versions"
            " WHERE version <> %s OR %s ORDER BY created_at DESC LIMIT 1)",
            [_BAD_RULES, newest],
        )


def _teach_wrong_rule(cluster: Cluster, *, on: bool) -> None:
    with cluster.superuser() as connection, connection.transaction():
        connection.execute("DELETE FROM intent_logs WHERE utterance = %s", [_WRONG_UTTERANCE])
        if on:
            connection.execute(
                "INSERT INTO intent_logs (created_at, user_id, utterance, intent, confidence, feedback)"
                " SELECT now() - n * interval '1 hour', 'user-' || 1 + n %% 5, %s, 'smalltalk', 0.91, -1"
                " FROM generate_series(1, 40) AS n",
                [_WRONG_UTTERANCE],
            )


def _deploy_worse_prompt(cluster: Cluster, *, on: bool) -> None:
    # The version in force gets wrong what the one before it got right.
    with cluster.superuser() as connection:
        connection.execute(
            "UPDATE prompt_evaluations SET correct = split_part(case_id, '-', 2)::int BETWEEN %s AND 29"
            " WHERE version = 'p7'",
            [21 if on else 1],
        )


def _refuse_writes(cluster: Cluster, *, on: bool) -> None:
    cluster.alter_system("default_transaction_read_only", "on" if on else None)


def _drop_extension(cluster: Cluster, *, on: bool) -> None:
    with cluster.superuser() as connection:
        connection.execute(
            "DROP EXTENSION IF EXISTS pg_stat_statements" if on else "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"
        )


def _slow(cluster: Cluster, *, on: bool) -> None:
    cluster.alter_system("post_auth_delay", "1" if on else None)
    with cluster.superuser() as connection, connection.transaction():
        connection.execute("DROP POLICY IF EXISTS slow ON judgment_executions")
        if on:
            # Without a reference to the row it is evaluated once a statement: each waits just as long.
            connection.execute(
                "CREATE POLICY slow ON judgment_executions AS RESTRICTIVE FOR SELECT"
                " TO judgment_app, opsverify_ro USING (EXISTS (SELECT FROM pg_sleep(1)))"
            )


def _break_archive(cluster: Cluster, *, on: bool) -> None:
    cluster.alter_system("archive_command", "false" if on else None)
    # Some WAL first: a switch within an unused segment does nothing, and the archiver would not run.
    cluster.value("SELECT pg_logical_emit_message(false, 'sandbox', 'archive')")
    cluster.value("SELECT pg_switch_wal()")
    wait_until(
        lambda: cluster.value(_ARCHIVER_FAILS) is on,
        _ARCHIVER_DEADLINE_S,
        say("the archiver to fail") if on else say("the archiver to work again"),
    )


def _hang_archive(cluster: Cluster, *, on: bool) -> None:
    """The command neither succeeds nor fails; its segments wait. It ends once it is no longer configured."""
    waits = (
        f"while grep -qs archive_hangs {shlex.quote(str(cluster.data / 'postgresql.auto.conf'))}; do sleep 0.1; done"
    )
    cluster.alter_system("archive_command", f"{waits}; false # archive_hangs" if on else None)
    cluster.value("SELECT pg_logical_emit_message(false, 'sandbox', 'archive')")
    cluster.value("SELECT pg_switch_wal()")
    wait_until(
        lambda: (cluster.value(_OLDEST_WAITING_S) > _HANGS_S) if on else not cluster.value(_OLDEST_WAITING_S),
        _ARCHIVER_DEADLINE_S,
        say("a segment to wait") if on else say("the archiver to catch up"),
    )


_OF_CLUSTER = {
    "rows_added": _add_rows,
    "rule_alarm_flood": _flood_alarms,
    "intent_rule_wrong": _teach_wrong_rule,
    "prompt_worse": _deploy_worse_prompt,
    "postgres_readonly": _refuse_writes,
    "postgres_slow": _slow,
    "archive_broken": _break_archive,
    "pg_stat_statements_missing": _drop_extension,
    "archive_hangs": _hang_archive,
    **review_faults.OF_CLUSTER,
}
"""Faults that a function of the cluster alone carries out."""

ACTIONS: dict[str, Action] = {
    **dict.fromkeys(_LOST, _lose_rows),
    **dict.fromkeys(_OF_CLUSTER, _change_cluster),
    **dict.fromkeys((*restore_faults.CHANGES, "restore_incomplete"), _change_restored),
    **dict.fromkeys(review_faults.STATEMENTS, _change_reviewed),
    "stale_migration": _migrate,
}
"""Every fault of kind `sql`, by what switches it."""
