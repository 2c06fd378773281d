"""A dump with the roles of its cluster beside it: owners and grants come back, passwords are seen nowhere."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.adapters import source_of
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.backup.roles_dump import nearest_file, read_cluster_dump
from tests.support.drills import recorded_at, rehearse
from tests.support.primary import PORT, SCHEMA, listing, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.recovery.ledger.history import History

MAJOR = 18
SECRET = "tops3cret-of-the-plant"
CLUSTER = f"""
CREATE ROLE "Plant App" LOGIN PASSWORD '{SECRET}';
CREATE ROLE reader;
GRANT reader TO "Plant App";
ALTER ROLE "Plant App" SET work_mem TO '8MB';
"""
DATABASE = """
CREATE TABLE spaced (id int PRIMARY KEY) TABLESPACE slow;
ALTER TABLE judgment_executions OWNER TO "Plant App";
GRANT SELECT ON judgment_executions TO reader;
ALTER TABLE judgment_executions ENABLE ROW LEVEL SECURITY;
CREATE POLICY reading ON judgment_executions FOR SELECT TO reader USING (true);
SELECT lo_from_bytea(4711, 'a drawing');
"""


@dataclass(frozen=True)
class Plant:
    """A database `plant` in `folder`, dumped with its cluster's roles; `history` is what a ledger recorded of it."""

    home: Path
    folder: Path
    history: History


@pytest.fixture(scope="module")
def plant(open_folder: Path) -> Plant:
    """Run a primary with roles, grants, a policy and a tablespace, dump all of it, stop it."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "plant", account)
    folder, slow = owned(home / "dumps", account), owned(home / "slow", account)
    where = ("-h", home, "-p", str(PORT), "-U", "postgres")
    with primary(tools, account, home, {"archive_mode": "off", "log_statement": "none"}) as server:
        succeed(server, CLUSTER)
        for sql in (
            f"CREATE TABLESPACE slow OWNER \"Plant App\" LOCATION '{slow}'",
            'CREATE DATABASE plant OWNER "Plant App"',
            "REVOKE CONNECT ON DATABASE plant FROM PUBLIC",
            "GRANT CONNECT ON DATABASE plant TO reader",
            "ALTER ROLE reader IN DATABASE plant SET work_mem TO '9MB'",
        ):
            succeed(server, sql)
        done = server.psql(SCHEMA + DATABASE, dbname="plant")
        assert done.exit_code == 0, done.transcript
        tools.succeed("pg_dumpall", *where, "--globals-only", "-f", folder / "globals.sql", account=account)
        tools.succeed("pg_dump", *where, "-F", "c", "-f", folder / "plant.dump", "plant", account=account)
        tools.succeed("pg_dump", *where, "-F", "c", "-B", "-f", folder / "bare.dump", "plant", account=account)
        history = recorded_at(f"host={home} port={PORT} user=postgres dbname=plant")
    return Plant(home, folder, history)


@pytest.fixture
def described(plant: Plant, scratch: Path) -> Callable[..., Recovery]:
    """Make a target's section for a copy of the dump and its roles; arguments are keys of `pg_dump`."""
    shutil.copytree(plant.folder, scratch / "dumps")
    (scratch / "drill").mkdir(mode=0o755)

    def section(**more: Any) -> Recovery:  # noqa: ANN401 - keys of the table
        dump = {"archive": str(scratch / "dumps" / "plant.dump"), "major": MAJOR, **more}
        ours = {"ledger": str(scratch / "ledger"), "scratch": str(scratch / "drill")}
        return Recovery.model_validate({"method": "pg_dump", "pg_dump": dump, **ours})

    return section


def test_owners_and_grants_come_back(plant: Plant, described: Callable[..., Recovery], scratch: Path) -> None:
    """All of the catalog is as the ledger recorded it; production's tablespace is left alone; no password is kept."""
    before = listing(plant.home)
    drill = rehearse(described(globals=str(scratch / "dumps" / "globals*.sql")), plant.history, "plant")
    assert (drill.backup.problems, drill.failure, drill.blocked, drill.validation.log_errors) == ((), None, None, ())
    assert drill.restore.judgments == 3000
    catalog = {name: answer for name, answer in drill.answers.findings.items() if name.startswith("catalog/")}
    assert len(catalog) > 10
    assert [(name, answer) for name, answer in catalog.items() if answer.problems or answer.unknown] == []
    assert catalog["catalog/roles"].asked == 4  # three roles, one of them in another
    assert drill.answers.findings["large_objects"].problems == ()
    assert drill.table_problem is None
    assert listing(plant.home) == before
    assert list((scratch / "drill").iterdir()) == []
    kept = drill.dumps()
    assert SECRET not in kept
    assert "SCRAM" not in kept


def test_a_dump_without_large_objects_is_found(plant: Plant, described: Callable[..., Recovery], scratch: Path) -> None:
    """`pg_dump -B` leaves them out without a word, and every table is whole."""
    dumps = scratch / "dumps"
    drill = rehearse(
        described(archive=str(dumps / "bare.dump"), globals=str(dumps / "globals*.sql")), plant.history, "plant"
    )
    assert (drill.backup.problems, drill.failure) == ((), None)
    (problem,) = drill.answers.findings["large_objects"].problems
    assert problem == "large objects: 1 recorded (9 bytes), 0 found (0 bytes)"


def test_without_roles_a_dump_may_not_be_restorable(plant: Plant, described: Callable[..., Recovery]) -> None:
    """A policy for a role that the dump does not hold keeps it from being restored: the message says what to do."""
    drill = rehearse(described(), plant.history, "plant")
    assert 'role "reader" does not exist' in (drill.failure or "")
    assert "run pg_dumpall --globals-only" in (drill.failure or "")


def test_a_dump_that_needs_no_roles_says_that_they_are_not_in_it(
    described: Callable[..., Recovery], scratch: Path, open_folder: Path
) -> None:
    """Its rows come back as before; what the ledger holds of roles and grants is neither passed nor failed."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(scratch / "p", account)
    with primary(tools, account, home, {"archive_mode": "off"}) as server:
        where = ("-h", home, "-p", str(PORT), "-U", "postgres")
        succeed(server, "CREATE ROLE reader")
        succeed(server, "GRANT SELECT ON judgment_executions TO reader")
        tools.succeed("pg_dump", *where, "-F", "c", "-f", home / "d", "postgres", account=account)
        history = recorded_at(f"host={home} port={PORT} user=postgres dbname=postgres")
    drill = rehearse(described(archive=str(home / "d")), history)
    assert drill.failure is None
    for kind in ("roles", "grants"):
        answer = drill.answers.findings[f"catalog/{kind}"]
        assert answer.problems == ()
        assert f"{kind} were not in the backup" in (answer.unknown or "")
    assert drill.answers.findings["catalog/tables"].unknown is None


def _emptied(path: Path) -> None:
    path.write_text("")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 200)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda path: path.unlink(), "is missing"), (_emptied, "is empty"), (_cut, "was cut off")],
    ids=["missing", "empty", "truncated"],
)
def test_roles_that_are_not_whole_fail(
    described: Callable[..., Recovery], scratch: Path, damage: Callable[[Path], None], said: str
) -> None:
    """Named by the target, they belong to the backup: integrity and restore both say what is wrong."""
    roles = scratch / "dumps" / "globals.sql"
    damage(roles)
    drill = rehearse(described(globals=str(roles)), None, "plant")
    assert len(drill.backup.problems) == 1
    assert said in drill.backup.problems[0]
    assert said in (drill.failure or "")


def test_a_statement_that_fails_is_named_without_its_password(
    described: Callable[..., Recovery], scratch: Path
) -> None:
    """Only the bootstrap superuser may be there already; line and SQLSTATE say where to look."""
    roles = scratch / "dumps" / "globals.sql"
    lines = roles.read_text().splitlines()
    number = next(at for at, line in enumerate(lines) if line.startswith('CREATE ROLE "Plant App"'))
    del lines[number]
    roles.write_text("\n".join(lines) + "\n")
    drill = rehearse(described(globals=str(roles)), None, "plant")
    said = f'globals.sql, line {number + 1}: ALTER ROLE "Plant App" ...: SQLSTATE 42704'
    assert drill.failure == said
    assert "SCRAM" not in drill.dumps()


def test_the_roles_are_held_against_their_sum(described: Callable[..., Recovery], scratch: Path) -> None:
    """Where sums are recorded, theirs is as well; a whole file with another role in it is found."""
    folder = scratch / "dumps"
    names = ("plant.dump", "globals.sql")
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SUMS").write_text("\n".join(sums) + "\n")
    source = source_of(described(globals=str(folder / "globals.sql"), sha256=str(folder / "SUMS")))
    assert source.verify().ok
    (folder / "globals.sql").write_text("CREATE ROLE thief SUPERUSER;\n" + (folder / "globals.sql").read_text())
    assert source.verify().problems[0].startswith("globals.sql: SHA-256 ")


def test_of_several_the_nearest_in_time_is_taken(scratch: Path) -> None:
    """Roles are dumped beside each dump, a moment before or after it."""
    taken_at = dt.datetime(2026, 11, 20, 3, tzinfo=dt.UTC)
    for day in (18, 20, 21):
        path = scratch / f"globals-{day}.sql"
        path.touch()
        moment = taken_at.replace(day=day, minute=1).timestamp()
        os.utime(path, (moment, moment))
    assert nearest_file(scratch / "globals-*.sql", taken_at).name == "globals-20.sql"
    with pytest.raises(BackupDamaged, match="is missing"):
        nearest_file(scratch / "roles-*.sql", taken_at)


END = "--\n-- PostgreSQL database cluster dump complete\n--\n"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("\\connect plant\n", r"holds the command \\connect"),
        ("\\! touch /tmp/x\n", r"holds the command \\!"),
        ("CREATE\n TABLESPACE t LOCATION '/srv';\n", "has a CREATE TABLESPACE that could not be parsed"),
        (
            "CREATE ROLE a;\nALTER ROLE a WITH SUPERUSER LOGIN;\nCREATE ROLE b;\nALTER ROLE b WITH SUPERUSER LOGIN;\n",
            r"2 superusers \(a, b\), and which one initdb made is unknown",
        ),
    ],
)
def test_what_is_not_a_globals_dump_is_inconclusive(scratch: Path, sql: str, said: str) -> None:
    """It is not run: a whole cluster's dump, commands of psql, tablespaces that might be production's."""
    (scratch / "globals.sql").write_text(sql + END)
    with pytest.raises(Inconclusive, match=said):
        read_cluster_dump(scratch / "globals.sql")


def test_the_bootstrap_superuser_may_have_another_name(scratch: Path) -> None:
    """Grants name it as the grantor: the new cluster is made by the same."""
    sql = 'CREATE ROLE "Chief";\nALTER ROLE "Chief" WITH SUPERUSER LOGIN;\n'
    (scratch / "globals.sql").write_text(sql + END)
    assert read_cluster_dump(scratch / "globals.sql").superuser == "Chief"
