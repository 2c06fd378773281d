"""A PostgreSQL server that all tests of periodic reviews share, with a role that may only read statistics."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.config.database import Login, PostgresConfig
from opsverify.probes.postgres import Postgres
from tests.support.primary import PORT, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.postgres.tools import Account, Tools

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "pg_stat_statements.max": "100",
    "archive_command": "while test -e gate; do sleep 0.05; done",  # hangs while its data folder holds `gate`
    "autovacuum": "off",
    "max_prepared_transactions": "2",
    "wal_level": "logical",
}


@dataclass(frozen=True)
class Reviewed:
    """A running server, its programs and its folder."""

    server: Server
    tools: Tools
    account: Account | None
    home: Path

    def run(self, *statements: str) -> None:
        """Each statement as the superuser, in a transaction of its own."""
        for statement in statements:
            succeed(self.server, statement)

    def config(self, user: str = "reader", home: Path | None = None) -> PostgresConfig:
        """How a role reaches it."""
        return PostgresConfig(
            host=str(home or self.home), port=PORT, dbname="postgres", login=Login(user=user), sslmode="disable",
            statement_timeout_s=60.0, connect_timeout_s=60,
        )  # fmt: skip

    def probe(self, user: str = "reader") -> Postgres:
        """A probe of a role; close it after use."""
        return Postgres(self.config(user))


@pytest.fixture(scope="module")
def reviewed() -> Iterator[Reviewed]:
    """The server, with `reader` (of pg_monitor), `stranger` (of nothing), and two users of the platform."""
    # Not in pytest's own folder, which every other session of pytest closes to the server's account.
    with tempfile.TemporaryDirectory(prefix="reviewed-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        tools, account = server_tools(18, folder)
        home = owned(folder / "p", account)
        server = stack.enter_context(primary(tools, account, home, SETTINGS))
        found = Reviewed(server, tools, account, home)
        found.run(
            "CREATE EXTENSION pg_stat_statements",
            "CREATE ROLE reader LOGIN IN ROLE pg_monitor",
            "CREATE ROLE stranger LOGIN",
            "CREATE ROLE a LOGIN",
            "CREATE ROLE b LOGIN",
        )
        yield found


@pytest.fixture
def postgres(reviewed: Reviewed) -> Iterator[Postgres]:
    """The probe of a check."""
    with reviewed.probe() as probe:
        yield probe
