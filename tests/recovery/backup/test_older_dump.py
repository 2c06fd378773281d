"""A dump of a PostgreSQL 15 with checksums, ICU and another locale: it comes back as its database was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from tests.support.drills import recorded_at, rehearse
from tests.support.primary import PORT, SCHEMA, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from pathlib import Path

MAJOR = 15
DATABASES = {
    "icu": "LOCALE_PROVIDER icu ICU_LOCALE 'ko-KR' LOCALE 'C.UTF-8'",
    "libc": "LOCALE 'C.UTF-8'",
    "latin": "ENCODING 'LATIN1' LOCALE 'C'",
}


@pytest.mark.parametrize("name", DATABASES)
def test_settings_and_collations_are_those_of_production(name: str, open_folder: Path, scratch: Path) -> None:
    """Neither the new cluster's checksums nor its locale stand in the way: all of the catalog is as recorded."""
    try:
        tools, account = server_tools(MAJOR, open_folder)
    except Inconclusive:
        pytest.skip(f"no PostgreSQL {MAJOR} on this machine, and no wheel has it")
    home = owned(scratch / "p", account)
    archive = home / "plant.dump"
    where = ("-h", home, "-p", str(PORT), "-U", "postgres")
    with primary(tools, account, home, {"archive_mode": "off"}) as server:
        succeed(server, f"CREATE DATABASE plant TEMPLATE template0 {DATABASES[name]}")
        done = server.psql(SCHEMA, dbname="plant")
        assert done.exit_code == 0, done.transcript
        history = recorded_at(f"host={home} port={PORT} user=postgres dbname=plant")
        tools.succeed("pg_dump", *where, "-F", "c", "-f", archive, "plant", account=account)
    (scratch / "drill").mkdir(mode=0o755)
    dump = {"archive": str(archive), "major": MAJOR}
    ours = {"ledger": str(scratch / "ledger"), "scratch": str(scratch / "drill")}
    drill = rehearse(Recovery.model_validate({"method": "pg_dump", "pg_dump": dump, **ours}), history, "plant")
    assert (drill.failure, drill.blocked, drill.backup.problems) == (None, None, ())
    problems = {kind: found.problems for kind, found in drill.answers.findings.items() if found.problems}
    assert problems == {}
    assert [drill.answers.findings[f"catalog/{kind}"].unknown for kind in ("settings", "collations")] == [None, None]
    assert drill.restore.judgments == 3000
