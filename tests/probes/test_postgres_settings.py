"""Settings of the verifying role: none that a role or a database may have changes what a statement means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from psycopg import sql

from opsverify.config.database import Login
from opsverify.errors import Inconclusive
from opsverify.probes.postgres import Postgres
from tests.probes.probe_servers import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.probes.probe_servers import Cluster

ROLE: Final = "tuned"
WRITTEN_OUT: Final = r"""
SELECT 'C:\new' ~ '\\n' AS pattern, '\'::text AS backslash, E'\x41' AS escaped,
       '2026-03-01 12:00+09'::timestamptz::text AS moment, '2026-03-04'::date::text AS day,
       '36 hours -3 days'::interval::text AS span, '\x00ff'::bytea::text AS octets, 0.1::float8::text AS tenth,
       (1.0 / 3)::float4::text AS third, '{2,1}'::int[]::text AS numbers,
       pg_get_viewdef('pg_catalog.pg_tables'::regclass) AS view,
       '가'::text AS letter
"""
OTHER: Final = {
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Seoul",
    "client_encoding": "EUC_KR",
    "search_path": "nowhere",
    "lc_messages": "C",
    "default_text_search_config": "simple",
    "temp_tablespaces": "",
    "createrole_self_grant": "set",
    "restrict_nonsystem_relation_kind": "foreign-table",
}
"""Another value of a setting that is a text."""
NOT_A_ROLES: Final = {
    "transaction_read_only": "of one transaction; a role has default_transaction_read_only",
    "transaction_isolation": "of one transaction",
    "transaction_deferrable": "of one transaction",
    "role": "another role",
    "session_authorization": "another role",
}


@pytest.fixture
def tuned(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's session; the role whose settings it changes goes with it."""
    with cluster.superuser() as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        yield connection
        connection.execute(f"DROP ROLE {ROLE}")


def test_no_setting_of_the_role_changes_an_answer(cluster: Cluster, tuned: psycopg.Connection[Any]) -> None:
    """Every setting that a role may have, one after the other, at a value that it does not have by itself."""
    settings = tuned.execute(
        "SELECT name, setting, vartype, min_val, max_val, enumvals FROM pg_settings"
        " WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') ORDER BY name"
    ).fetchall()
    expected = answer(cluster)
    assert not isinstance(expected, str)
    tried, changed = 0, {}
    for name, value, kind, least, most, named in settings:
        if name in NOT_A_ROLES:
            continue
        for other in others(name, value, kind, (least, most), named):
            try:
                tuned.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(sql.Identifier(ROLE), sql.Identifier(name), other)
                )
            except psycopg.Error:  # no value of this one on this server
                continue
            tried += 1
            if (found := answer(cluster)) != expected:
                changed[name, other] = found
            tuned.execute(sql.SQL("ALTER ROLE {} RESET {}").format(sql.Identifier(ROLE), sql.Identifier(name)))
    assert changed == {}
    assert tried > len(settings) / 2


def answer(cluster: Cluster) -> object:
    """What the role is answered, or why it is not."""
    with Postgres(cluster.config(login=Login(user=ROLE)), PASSWORD) as probe:
        try:
            return probe.row(WRITTEN_OUT)
        except Inconclusive as error:
            return str(error)


def others(name: str, value: str, kind: str, ends: tuple[str, str], named: list[str] | None) -> list[str]:
    """Values that the setting does not have: of a number its ends."""
    if kind == "bool":
        return ["off" if value == "on" else "on"]
    if kind == "enum":
        return [other for other in named or () if other != value]
    if kind in ("integer", "real"):
        return [end for end in ends if end != value]
    return [OTHER[name]] if name in OTHER else []
