"""A PostgreSQL server with roles, groups and tables, that all tests of rights share."""

from __future__ import annotations

import datetime as dt
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.config.database import Login, PostgresConfig
from opsverify.probes.postgres import Postgres
from opsverify.rights.declared import dumps, load
from opsverify.rights.review import RightsReview
from opsverify.rights.state import RightsState
from tests.support.primary import PORT, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.recovery.postgres.server import Server
    from opsverify.rights.declared import DeclaredRights

AT = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
ROLES = (
    "CREATE ROLE reader LOGIN",
    "CREATE ROLE owner NOLOGIN",
    "CREATE ROLE support NOLOGIN",
    "CREATE ROLE kim LOGIN IN ROLE support",
    "CREATE ROLE lee LOGIN",
    "CREATE ROLE old LOGIN NOINHERIT",
    "GRANT USAGE, CREATE ON SCHEMA public TO owner",
    "CREATE SCHEMA sales AUTHORIZATION owner",
    "SET ROLE owner; CREATE TABLE sales.orders (id int PRIMARY KEY, buyer text, amount int)",
    "SET ROLE owner; CREATE TABLE sales.lines (id int); CREATE SEQUENCE sales.numbers",
    "SET ROLE owner; CREATE TABLE sales.events (at date) PARTITION BY RANGE (at)",
    "SET ROLE owner; CREATE TABLE sales.events_1 PARTITION OF sales.events DEFAULT",
    "CREATE TABLE salaries (id int)",
    "CREATE FUNCTION raise_all(percent int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "GRANT SELECT ON sales.orders TO support",
)


@dataclass(frozen=True)
class RightsServer:
    """The server, and a probe of a role without any rights but those of everybody."""

    server: Server
    probe: Postgres
    home: Path

    def run(self, *statements: str) -> None:
        """Each statement as the superuser."""
        for statement in statements:
            succeed(self.server, statement)

    def declared(self) -> DeclaredRights:
        """The list that would be captured now."""
        path = self.home / "rights.toml"
        path.write_text(self.text(), encoding="utf-8")
        return load(path)

    def text(self) -> str:
        """The text of that list."""
        return dumps(RightsState.of(self.probe), AT)

    def review(self, declared: DeclaredRights) -> RightsReview:
        """The rights now, compared with a list."""
        return RightsReview.of(RightsState.of(self.probe), declared)

    @contextmanager
    def changed(self, *statements: str, undo: tuple[str, ...]) -> Iterator[tuple[list[str], list[str]]]:
        """What is more and less after some statements; afterwards nothing is."""
        declared = self.declared()
        self.run(*statements)
        review = self.review(declared)
        try:
            yield list(map(str, review.more)), list(map(str, review.less))
        finally:
            self.run(*undo)
        assert self.review(declared).text == "no difference"


@pytest.fixture(scope="module")
def rights() -> Iterator[RightsServer]:
    """The server with `ROLES`."""
    # Not in pytest's own folder, which every other session of pytest closes to the server's account.
    with tempfile.TemporaryDirectory(prefix="rights-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        tools, account = server_tools(18, folder)
        home = owned(folder / "p", account)
        server = stack.enter_context(primary(tools, account, home, {"max_prepared_transactions": "2"}))
        config = PostgresConfig(
            host=str(home), port=PORT, dbname="postgres", login=Login(user="reader"), sslmode="disable",
            statement_timeout_s=60.0, connect_timeout_s=60,
        )  # fmt: skip
        for statement in ROLES:
            succeed(server, statement)
        yield RightsServer(server, stack.enter_context(Postgres(config)), folder)
