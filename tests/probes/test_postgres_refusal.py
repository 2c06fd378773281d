"""Refused logins: by a server that writes another language, by a pooler, and for want of a connection."""

from __future__ import annotations

import os
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from opsverify.config.database import Login
from opsverify.errors import Inconclusive, LoginRefused, Unreachable
from opsverify.probes import postgres_connection
from opsverify.probes.libpq import sqlstate_of_refusal
from opsverify.probes.postgres import Postgres
from tests.probes.probe_servers import PASSWORD
from tests.support.pooler import pooled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.probes.probe_servers import Cluster

MORE_THAN_PREPARED = 20
"""Statements of one text: psycopg would have prepared them long before."""


@contextmanager
def refusing(state: str, text: str) -> Iterator[tuple[int, list[bytes]]]:
    """A server of `lc_messages = ko_KR.UTF-8` as it refuses a client (Debian's PostgreSQL 15 sends these fields)."""
    fields = {b"S": "치명적오류", b"V": "FATAL", b"C": state, b"M": text, b"R": "auth_failed"}
    packed = b"".join(name + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    asked: list[bytes] = []

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(4096))
            self.request.sendall(b"E" + (len(packed) + 4).to_bytes(4, "big") + packed)

    with socketserver.TCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("state", "text", "kind", "told"),
    [
        ("28P01", '사용자 "reader"의 password 인증을 실패했습니다', LoginRefused, "check user, password"),
        ("28000", "호스트 연결을 위한 pg_hba.conf 항목이 없습니다", LoginRefused, "check user, password"),
        ("3D000", '"zzz" 데이터베이스 없음', LoginRefused, "correct its dbname"),
        ("57P03", "데이터베이스 시스템이 새로 가동 중입니다.", Unreachable, "check that the server is up"),
        ("53300", "최대 동시 접속자 수를 초과했습니다.", Unreachable, "check that the server is up"),
    ],
)
def test_a_server_that_writes_korean(
    cluster: Cluster, state: str, text: str, kind: type[Inconclusive], told: str
) -> None:
    """What it means is in its SQLSTATE: a wrong password fails no release, wherever the server was installed."""
    with refusing(state, text) as (port, asked), Postgres(cluster.config(port=port), PASSWORD) as probe:
        with pytest.raises(Inconclusive, match=told) as caught:
            probe.value("SELECT 1")
        assert type(caught.value) is kind
        assert text in str(caught.value)
        assert len(asked) == 2  # the second one for the SQLSTATE
        assert b"reader" in asked[0]
        assert asked[0] == asked[1]


def test_a_known_refusal_is_tried_once(cluster: Cluster) -> None:
    """Each attempt with a wrong password may lock the account."""
    with (
        refusing("28P01", 'password authentication failed for user "reader"') as (port, asked),
        Postgres(cluster.config(port=port), PASSWORD) as probe,
        pytest.raises(LoginRefused),
    ):
        probe.value("SELECT 1")
    assert len(asked) == 1


def test_the_second_attempt_may_come_through(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no SQLSTATE, and the first error stands."""
    monkeypatch.setattr(postgres_connection, "sqlstate_of_refusal", lambda _timeout_s, **_given: None)
    with (
        refusing("57P03", "데이터베이스 시스템이 새로 가동 중입니다.") as (port, asked),
        Postgres(cluster.config(port=port), PASSWORD) as probe,
        pytest.raises(Unreachable, match=r"가동 중입니다\.\); check that the server is up"),
    ):
        probe.value("SELECT 1")
    assert len(asked) == 1
    given = cluster.config()
    there = {"host": given.host, "port": given.port, "dbname": given.dbname, "user": "reader", "sslmode": "disable"}
    assert sqlstate_of_refusal(60, **there, password=PASSWORD) is None
    assert sqlstate_of_refusal(60, **there, password="planted-wrong-password") == "28P01"


def test_no_connection_left_for_the_role(cluster: Cluster) -> None:
    """The platform's own roles are served: no failure of the server, and a later check may find one free."""
    with cluster.superuser() as connection:
        connection.execute(f"CREATE ROLE narrow LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0")
    try:
        with Postgres(cluster.config(login=Login(user="narrow")), PASSWORD) as probe:
            with pytest.raises(Inconclusive, match=r"narrow has no connection left .*CONNECTION LIMIT") as caught:
                probe.value("SELECT 1")
            assert type(caught.value) is Inconclusive
            with cluster.superuser() as connection:
                connection.execute("ALTER ROLE narrow CONNECTION LIMIT 1")
            assert probe.value("SELECT 1") == 1
    finally:
        with cluster.superuser() as connection:
            connection.execute("DROP ROLE narrow")


@pytest.fixture
def open_folder(tmp_path: Path, cluster: Cluster) -> Path:
    """A folder that the pooler may enter: it does not run as root."""
    if cluster.user:
        os.chown(tmp_path, *cluster.user)
        for folder in (tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_through_a_pooler(cluster: Cluster, open_folder: Path, mode: str) -> None:
    """Every statement answers, whichever server it is given to: nothing of one is needed on the next."""
    with pooled(cluster, open_folder, mode) as port, Postgres(cluster.config(port=port), PASSWORD) as probe:
        servers = {probe.value("SELECT pg_backend_pid()") for _ in range(MORE_THAN_PREPARED)}
    assert len(servers) == {"session": 1, "transaction": MORE_THAN_PREPARED}[mode]


def test_a_pooler_of_statements(cluster: Cluster, open_folder: Path) -> None:
    """It cannot be read through, and that says nothing of the server behind it."""
    with (
        pooled(cluster, open_folder, "statement") as port,
        Postgres(cluster.config(port=port), PASSWORD) as probe,
        pytest.raises(LoginRefused, match="pool_mode = transaction or session"),
    ):
        probe.value("SELECT 1")


def test_a_database_that_the_pooler_does_not_list(cluster: Cluster, open_folder: Path) -> None:
    """PgBouncer has words of its own for it."""
    with (
        pooled(cluster, open_folder, "transaction") as port,
        Postgres(cluster.config(port=port, dbname="other"), PASSWORD) as probe,
        pytest.raises(LoginRefused, match=r"no such database \(FATAL: no such database: other\); correct its dbname"),
    ):
        probe.value("SELECT 1")
