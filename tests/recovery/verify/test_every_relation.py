"""Physical truth by construction: each fork and access method damaged in each way, with checksums made right again.

Relations, access methods and forks come from the catalog and the disk, not from a list: what PostgreSQL adds fails
here until it is examined, or said not to be.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from opsverify.recovery.ledger.capture import capture_details
from opsverify.recovery.ledger.history import History
from opsverify.recovery.postgres.server import Server
from opsverify.recovery.restore.restored_server import RestoredServer
from opsverify.recovery.verify.examination import examine
from opsverify.recovery.verify.finding import Finding
from tests.support.cluster_fixtures import MAJOR
from tests.support.primary import PORT, owned, server_tools, succeed
from tests.support.specimens import AFTER, CATALOGS, DAMAGES, FILES, FORKS, LIVED, ONE, PAGE, PARTS, TWINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Specimen:
    """A fork of a relation that was damaged in one way."""

    damage: str
    schema: str
    name: str
    kind: str
    method: str
    fork: str
    owner: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the relation, or of its file's owner."""
        own = f"{self.schema}.{self.name}"
        return (own, self.owner) if self.schema == "pg_toast" else (own,)

    def __str__(self) -> str:
        return f"{self.damage}: {self.schema}.{self.name}{self.fork} ({self.method or self.kind})"


@dataclass(frozen=True)
class Ruin:
    """What was damaged, and the answers of the examination."""

    specimens: tuple[Specimen, ...]
    answers: Mapping[str, Finding]
    methods: frozenset[str]
    kinds: frozenset[str]
    sound: Mapping[str, Finding]

    @property
    def lines(self) -> list[str]:
        """Every problem."""
        return [line for one in self.answers.values() for line in one.problems]

    @property
    def notes(self) -> list[str]:
        """Every line on what was not examined."""
        return [note for one in self.answers.values() for note in one.notes if note.startswith("not examined: ")]


@pytest.fixture(scope="module")
def ruin(open_folder: Path) -> Iterator[Ruin]:
    """One cluster: crashed, examined whole, stopped, damaged in every way, its checksums made right, examined again."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "ruin", account)
    data, port = home / "data", PORT
    options = ("-D", data, "-E", "UTF8", "-U", "postgres", "-A", "trust", "--no-sync", "--no-data-checksums")
    tools.succeed("initdb", *options, account=account)
    settings = {"fsync": "off", "autovacuum": "off", "listen_addresses": "", "port": str(port),
                "unix_socket_directories": str(home)}  # fmt: skip

    def server() -> Server:
        return Server(tools, data, settings, account=account, socket_dir=home, port=port, superuser="postgres",
                      log=home / "log")  # fmt: skip

    with server() as running:
        running.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start")
        succeed(running, "CREATE EXTENSION bloom")
        succeed(
            running, "SELECT lo_from_bytea(0, convert_to(repeat(n::text, 3000), 'UTF8')) FROM generate_series(1, 9) n"
        )
        for schema in DAMAGES:
            for statement in (ONE + PARTS).format(s=schema).split(";\n"):
                succeed(running, statement)
        succeed(running, "VACUUM (ANALYZE)")
        for statement in (LIVED + "".join(AFTER.format(s=schema) for schema in DAMAGES)).split(";\n"):
            succeed(running, statement)
        tools.succeed("pg_ctl", "stop", "-D", data, "-m", "immediate", account=account)
    with server() as running:
        running.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start after the crash")
        with psycopg.connect(_dsn(home, port), autocommit=True, row_factory=namedtuple_row) as session:

            def source(sql: str, values: Mapping[str, object]) -> list[Any]:
                cursor = session.execute(sql.encode(), dict(values) or None)
                return cursor.fetchall() if cursor.description else []

            files = source(FILES, {})
            methods = frozenset(row.amname for row in source("SELECT amname FROM pg_am", {}))
            kinds = frozenset(row.relkind for row in source("SELECT DISTINCT relkind::text FROM pg_class", {}))
            body = capture_details(source, dt.datetime.now(dt.UTC), None, {}, "synthetic_tag")
        moment = dt.datetime.now(dt.UTC)
        history = History.of([(1, json.loads(json.dumps(body | {"captured_at": moment.isoformat()})))])
        sound = _examined(running, home, port, data, history)
    specimens = tuple(_damage(data, files))
    tools.succeed("pg_checksums", "--enable", "-D", data, "--no-sync", account=account)
    with server() as running:
        running.wait_for("SELECT pg_is_in_recovery()", "f", within_s=60, what="start of the damaged server")
        answers = _examined(running, home, port, data, history)
    yield Ruin(specimens, answers, methods, kinds, sound)
    shutil.rmtree(home)


def _dsn(home: Path, port: int) -> str:
    return f"host={home} port={port} user=postgres dbname=postgres"


def _examined(server: Server, home: Path, port: int, data: Path, history: History) -> dict[str, Finding]:
    now = dt.datetime.now(dt.UTC)
    restored = RestoredServer(
        _dsn(home, port), str(home), port, None, now, now, 0, 1, 0.0, 0.0, {}, home / "log", server
    )
    answers = examine(restored, "postgres", data, history)
    return {name: Finding.from_dict(raw) for name, raw in answers.items()}


def _damage(data: Path, files: list[Any]) -> Iterator[Specimen]:
    """Damage one fork of a relation of every kind in each way."""
    by_name = {(row.way or row.schema, row.owner, row.kind, row.name if not row.owner else ""): row for row in files}
    for row in files:
        way = row.way or row.schema
        system = next((one for one, name in CATALOGS.items() if row.name == name), None) if not row.owner else None
        if (way not in DAMAGES and system is None) or (row.owner or row.name).endswith("_other"):
            continue
        if row.owner:
            twin = by_name.get((way, TWINS.get(row.owner, ""), row.kind, ""))
        elif system:
            twin = by_name[("pg_catalog", "", row.kind, "pg_conversion")]
        else:
            twin = by_name.get((way, "", row.kind, TWINS.get(row.name, "")))
        if twin is None:
            continue
        damage = system or way
        for fork in FORKS:
            path, other = (data / f"{one.path}{fork}" for one in (row, twin))
            if path.exists() and not (system and fork) and _spoil(path, other, damage, fork, row):
                yield Specimen(damage, row.schema, row.name, row.kind, row.method, fork, f"{row.way}.{row.owner}")


def _spoil(path: Path, other: Path, damage: str, fork: str, row: Any) -> bool:  # noqa: ANN401 - a namedtuple
    before = path.read_bytes()
    content = bytearray(before)
    chosen = _chosen(content)
    if damage == "swap":
        if not other.exists():
            return False
        mine = other.read_bytes()
        other.write_bytes(before)
        path.write_bytes(mine)
        return mine != before
    if damage == "cut":
        del content[-PAGE:]
    elif damage == "blank":
        content[chosen : chosen + PAGE] = bytes(min(PAGE, len(content)))
    elif damage == "strange":
        source = other.read_bytes() if other.exists() else b""
        at = _chosen(bytearray(source))
        content[chosen : chosen + PAGE] = source[at : at + PAGE] if source else content[chosen : chosen + PAGE]
    elif damage == "header" and content:
        content[chosen + 17] ^= 0x0F
    elif damage == "byte" and content and fork == "_vm":
        content[24] = 0xFF
    elif damage == "byte" and content:
        upper = int.from_bytes(content[chosen + 14 : chosen + 16], "little")
        content[chosen + min(upper, PAGE - 32) + (18 if row.kind in ("r", "m", "t", "S") else 0)] ^= 0x1F
    path.write_bytes(content)
    return bytes(content) != before


def _chosen(content: bytearray) -> int:
    """Where the last page that holds items begins."""
    for at in range(len(content) - PAGE, -1, -PAGE):
        lower, upper, special = (int.from_bytes(content[at + n : at + n + 2], "little") for n in (12, 14, 16))
        if 24 < lower <= upper < special:
            return at
    return 0


def test_a_sound_cluster_has_no_problem(ruin: Ruin) -> None:
    """Every relation examined, and nothing found, nothing unknown."""
    assert {name: one for name, one in ruin.sound.items() if one.problems or (one.unknown and name != "coverage")} == {}


def test_every_access_method_and_kind_was_damaged(ruin: Ruin) -> None:
    """A new one of PostgreSQL's fails here: the examination has to know it, or to say that it does not."""
    assert {one.method for one in ruin.specimens} >= ruin.methods
    assert {one.kind for one in ruin.specimens} >= ruin.kinds - {"v", "c", "p", "I", "f"}  # these have no files
    assert {one.fork for one in ruin.specimens} == {*FORKS}
    assert {one.damage for one in ruin.specimens} == {*DAMAGES}


def test_every_damage_is_found_or_said_to_be_not_examined(ruin: Ruin) -> None:
    """Each fork of each relation, damaged in each way, with right checksums: a problem that names it, or a line."""
    silent = {str(one) for one in ruin.specimens if not _found(ruin, one) and not _said(ruin, one)}
    assert silent == set()


def _found(ruin: Ruin, one: Specimen) -> bool:
    """Whether a problem names the relation, or the table that a TOAST table belongs to."""
    return any(name in line for line in ruin.lines for name in one.names)


def _said(ruin: Ruin, one: Specimen) -> bool:
    maps = {"_fsm": "numbers in free space maps", "_vm": "bits that a visibility map lost"}
    if one.fork in maps:
        return one.damage != "header" and any(maps[one.fork] in note for note in ruin.notes)
    return any(f"{one.schema}.{one.name}" in note for note in ruin.notes)
