"""Database settings: a PostgreSQL server, its login, and where its secrets are found."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from opsverify.config.section import Section, Timeout
from opsverify.language.message import say


class SecretRef(Section):
    """Where a secret is found: `{ env = "NAME" }` or `{ file = "path" }`, relative to the target file."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> SecretRef:
        if (self.env is None) == (self.file is None):
            raise ValueError(say('expected exactly one of {{ env = "NAME" }} and {{ file = "path" }}'))
        return self


class Login(Section):
    """A database role and its password."""

    user: str
    password: SecretRef | None = None


class Migration(Section):
    """Which revision this release expects, and where the database has it: in Alembic's table, or what `query` gives.

    `query` is one statement with one row and one column, for another tool: `SELECT max(version) FROM schema_version`.
    """

    query: str | None = None
    table: str = "alembic_version"
    head: str
    previous: str | None = None


DEAD_LETTERS: Final = """
    SELECT count(*) AS waiting,
           coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_s
      FROM workflow_dead_letters
     WHERE resolved_at IS NULL AND synthetic_tag IS NULL
"""


class PostgresNode(Section):
    """Another node of the same cluster, such as a replica: its counters are its own."""

    name: str
    host: str
    port: int = Field(default=5432, ge=1, le=65535)


class PostgresConfig(Section):
    """The platform's PostgreSQL, as a role that may only read."""

    host: str
    port: int = Field(default=5432, ge=1, le=65535)
    dbname: str
    login: Login
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "verify-full"
    connect_timeout_s: int = Field(default=5, ge=1, le=86_400)
    statement_timeout_s: Timeout = 10.0
    writable: bool = True
    replicas: int = Field(default=0, ge=0)
    archives_wal: bool = True
    migration: Migration | None = None
    reads: str = "SELECT 1 FROM judgment_executions LIMIT 1"
    """A small read of a core table: a server that accepts connections may still return nothing."""
    dead_letters: str = DEAD_LETTERS
    """What waits for a person: one row with `waiting` (a count) and `oldest_s` (seconds)."""
    nodes: tuple[PostgresNode, ...] = ()
    """The replicas, where their counters are to be read: an index that only they scan is used."""

    def of_node(self, node: PostgresNode) -> PostgresConfig:
        """How to reach another node."""
        return self.model_copy(update={"host": node.host, "port": node.port})
