"""Connections of the PostgreSQL probe: refused ones, logins that are tried once, and databases in any encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, LoginRefused, Unreachable
from opsverify.probes import postgres_connection
from opsverify.probes.postgres import Postgres
from tests.probes.probe_servers import PASSWORD, free_port

if TYPE_CHECKING:
    from tests.probes.probe_servers import Cluster, Recorder


def test_refused_connection_is_unreachable(cluster: Cluster, recorder: Recorder) -> None:
    """Nothing listening is no answer."""
    with Postgres(cluster.config(port=free_port()), PASSWORD, recorder) as probe, pytest.raises(Unreachable):
        probe.value("SELECT 1")
    assert "no connection" in recorder.text


def test_wrong_password_is_inconclusive(cluster: Cluster, recorder: Recorder) -> None:
    """A server that refuses us is up: that is no failure of its own; the password is in no message."""
    with (
        Postgres(cluster.config(), "planted-wrong-password", recorder) as probe,
        pytest.raises(Inconclusive, match="login refused") as caught,
    ):
        probe.value("SELECT 1")
    assert not isinstance(caught.value, Unreachable)
    assert "planted" not in str(caught.value) + recorder.text


def test_a_wrong_database_is_no_wrong_password(cluster: Cluster, recorder: Recorder) -> None:
    """A reader is sent to the name that is wrong."""
    config = cluster.config().model_copy(update={"dbname": "no_such_database"})
    with (
        Postgres(config, PASSWORD, recorder) as probe,
        pytest.raises(
            LoginRefused, match=r'no such database \(.*"no_such_database" does not exist\); correct its dbname'
        ),
    ):
        probe.value("SELECT 1")


@pytest.mark.parametrize(("oldest", "told"), [(99, "is older than 99"), (14, "database's schema")])
def test_a_server_that_is_too_old_is_told_where_it_refuses(
    cluster: Cluster, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, oldest: int, told: str
) -> None:
    """The schema is not what is wrong then; what it does answer is measured."""
    monkeypatch.setattr(postgres_connection, "OLDEST_MAJOR", oldest)
    with Postgres(cluster.config(), PASSWORD, recorder) as probe:
        assert probe.value("SELECT 1") == 1
        with pytest.raises(Inconclusive, match=f"{told}.*$") as caught:
            probe.value("SELECT waitstart FROM pg_class")
    assert str(caught.value).endswith("the server is upgraded" if oldest > 14 else told)


def test_a_refused_login_is_tried_once(cluster: Cluster, recorder: Recorder) -> None:
    """A run of many checks must not lock the account; the one message names the place once."""
    config = cluster.config()
    with Postgres(config, "planted-wrong-password", recorder) as probe:
        messages = set()
        for view in (probe, probe.recording(recorder)):
            with pytest.raises(LoginRefused) as caught:
                view.value("SELECT 1")
            messages.add(str(caught.value))
    reason = f'FATAL: password authentication failed for user "{config.login.user}"'
    place = f"PostgreSQL {config.host}:{config.port}/{config.dbname}"
    assert messages == {f"{place}: login refused ({reason}); check user, password and pg_hba.conf"}
    assert len(recorder.kept) == 1


def test_text_is_text_in_every_encoding(cluster: Cluster) -> None:
    """A database in SQL_ASCII knows no encoding: psycopg would give bytes, and a table's name would be none."""
    with cluster.superuser() as connection:
        connection.execute("CREATE DATABASE plain_bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        connection.execute("CREATE DATABASE korean ENCODING 'EUC_KR' LOCALE 'C' TEMPLATE template0")
    try:
        for dbname in ("plain_bytes", "korean"):
            with Postgres(cluster.config().model_copy(update={"dbname": dbname}), PASSWORD) as probe:
                assert probe.value("SELECT '판단'::text || relname::text FROM pg_class LIMIT 1").startswith("판단pg_")
    finally:
        with cluster.superuser() as connection:
            connection.execute("DROP DATABASE plain_bytes WITH (FORCE)")
            connection.execute("DROP DATABASE korean WITH (FORCE)")
