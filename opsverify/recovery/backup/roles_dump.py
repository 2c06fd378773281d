"""Roles of a cluster, as `pg_dumpall --globals-only` writes them: read whole and made safe to restore.

The file holds password hashes: psql runs with VERBOSITY=sqlstate, and statements are quoted by their first words,
so that no hash reaches a message, a log or the evidence.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.postgres.identifiers import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server

_COMPLETE: Final = "-- PostgreSQL database cluster dump complete"
_LAST_LINES: Final = 12
_COMMAND: Final = re.compile(r"^\\(?!restrict |unrestrict )\S+", re.MULTILINE)
_TABLESPACE: Final = re.compile(r"^(CREATE TABLESPACE .+ OWNER .+ LOCATION )'(?:[^']|'')*';$", re.MULTILINE)
_ANY_TABLESPACE: Final = re.compile(r"\bCREATE\s+TABLESPACE\b", re.IGNORECASE)
_ROLE: Final = re.compile(r'^CREATE ROLE ("(?:[^"]|"")+"|\S+);$', re.MULTILINE)
_SUPERUSER: Final = re.compile(r'^ALTER ROLE ("(?:[^"]|"")+"|\S+) WITH SUPERUSER ', re.MULTILINE)
_FIRST_WORDS: Final = re.compile(r'^(?:CREATE|ALTER|GRANT|REVOKE|COMMENT|SET)\b(?: ON)?(?: [A-Z]+)* ?(?:"[^"]*"|\w+)?')
_PSQL_MESSAGE: Final = re.compile(r"^psql:.*:(\d+): (ERROR|FATAL|PANIC|WARNING|NOTICE):  (\w{5})$")
_EXISTS: Final = "42710"  # duplicate_object
_NO_LOGGING: Final = (
    "SET log_min_messages TO panic; SET log_min_error_statement TO panic; "
    "SET log_min_duration_statement TO -1; SET log_statement TO none"
)


@dataclass(frozen=True)
class ClusterDump:
    """The roles of a cluster: `sql` recreates them where `superuser` was made by initdb."""

    path: Path
    superuser: str
    sql: str = field(repr=False)

    @property
    def tablespaces(self) -> int:
        """How many tablespaces it makes."""
        return len(_TABLESPACE.findall(self.sql))

    def with_tablespaces_in(self, spaces_folder: Path) -> str:
        """Return its SQL with each tablespace in a folder of `spaces_folder`, numbered from 0, not in production's."""
        number = iter(range(self.tablespaces))
        inside = str(spaces_folder).replace("'", "''")
        return _TABLESPACE.sub(lambda match: f"{match[1]}'{inside}/{next(number)}';", self.sql)


def nearest_file(pattern: Path, taken_at: dt.datetime) -> Path:
    """Return the file that `pattern` (of a name, or a path) matches; of several the one written nearest to `taken_at`.

    Raises BackupDamaged when there is none, Inconclusive when the folder cannot be read.
    """

    def distance(path: Path) -> dt.timedelta:
        return abs(dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) - taken_at)

    try:
        found = [pattern] if pattern.is_file() else sorted(pattern.parent.glob(pattern.name))
        if not found:
            raise BackupDamaged(
                say("{pattern} is missing: no role can be restored; run pg_dumpall --globals-only", pattern=pattern)
            )
        return min(found, key=distance)
    except OSError as error:
        raise Inconclusive(say("{pattern} cannot be read: {error}", pattern=pattern, error=error.strerror)) from error


def read_cluster_dump(path: Path) -> ClusterDump:
    """Read what pg_dumpall wrote to `path`.

    Raises BackupDamaged when it is empty or was cut off, Inconclusive when it cannot be read or holds more than that.
    """
    try:
        sql = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Inconclusive(say("{path} cannot be read: {error}", path=path, error=error.strerror)) from error
    except UnicodeDecodeError as error:
        raise Inconclusive(say("{path} is not UTF-8: run pg_dumpall with --encoding=UTF8", path=path)) from error
    if not sql.strip():
        raise BackupDamaged(
            say("{name} is empty: no role can be restored; check the job that runs pg_dumpall", name=path.name)
        )
    if _COMPLETE not in sql.splitlines()[-_LAST_LINES:]:
        raise BackupDamaged(
            say('{name} was cut off: it does not end with "{complete}"', name=path.name, complete=_COMPLETE)
        )
    if command := _COMMAND.search(sql):
        raise Inconclusive(
            say(
                "{path} holds the command {command}: expected the output of pg_dumpall --globals-only",
                path=path,
                command=command[0],
            )
        )
    if len(_ANY_TABLESPACE.findall(sql)) != len(_TABLESPACE.findall(sql)):
        raise Inconclusive(
            say(
                "{path} has a CREATE TABLESPACE that could not be parsed: it could name a folder of production's",
                path=path,
            )
        )
    return ClusterDump(path, _superuser(path, sql), sql)


def run_sql(server: Server, path: Path, dbname: str, *, existing: str | None = None, origin: str) -> None:
    """Send the file `path` through psql, with the server's logging off; role `existing` may be there already.

    Raises BackupDamaged for the first statement that fails, by the name `origin` of what it came from, and
    Inconclusive when psql's output cannot be parsed.
    """
    where = ("-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser, "-d", dbname)
    options = ("-X", "-q", "-w", "-v", "VERBOSITY=sqlstate", "-o", "/dev/null", "-c", _NO_LOGGING, "-f", path)
    done = server.tools.run("psql", *where, *options, account=server.account, timeout_s=600.0)
    statements = path.read_text(encoding="utf-8").splitlines()
    tolerated = f"CREATE ROLE {existing};", f"CREATE ROLE {quoted(existing)};" if existing else ""
    for line in filter(None, done.stderr.splitlines()):
        match = _PSQL_MESSAGE.fullmatch(line)
        if match is None:
            raise Inconclusive(
                say(
                    "psql on {origin}: output could not be parsed (exit {exit_code})",
                    origin=origin,
                    exit_code=done.exit_code,
                )
            )
        statement = statements[int(match[1]) - 1]
        if match[2] in ("WARNING", "NOTICE") or (match[3] == _EXISTS and statement in tolerated):
            continue
        raise BackupDamaged(
            say(
                "{origin}, line {line}: {brief}: SQLSTATE {state}",
                origin=origin,
                line=match[1],
                brief=_brief(statement),
                state=match[3],
            )
        )
    if done.exit_code != 0:
        raise Inconclusive(say("psql on {origin}: exit {exit_code}", origin=origin, exit_code=done.exit_code))


def _superuser(path: Path, sql: str) -> str:
    """Return the role that initdb made, which grants name as the grantor: postgres, or the only superuser."""
    made, super_ = set(map(_plain, _ROLE.findall(sql))), sorted(set(map(_plain, _SUPERUSER.findall(sql))))
    if "postgres" in made or not super_:
        return "postgres"
    if len(super_) > 1:
        raise Inconclusive(
            say(
                "{path}: {count} superusers ({super_}), and which one initdb made is unknown; keep one, "
                "or name it postgres",
                path=path,
                count=len(super_),
                super_=", ".join(super_),
            )
        )
    return super_[0]


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _brief(statement: str) -> str:
    match = _FIRST_WORDS.match(statement)
    return f"{match[0]} ..." if match else say("a statement that ends there")
