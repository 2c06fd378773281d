"""A plain PostgreSQL of which dumps are kept: the weekly command accepts a whole one, and rejects what lacks rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.support.managers import TEN_LINES, not_passed, open_shop
from tests.support.paths import REPOSITORY
from tests.support.primary import PORT, next_second, owned, primary, server_tools, succeed

if TYPE_CHECKING:
    from pathlib import Path

MAJOR = 18
DUMPS = '{ archive = "dumps", major = 18, globals = "globals.sql" }'


def command(target: Path, *words: str) -> None:
    """Run opsverify on the target."""
    argv = [sys.executable, "-m", "opsverify", *words, "--target", str(target)]
    subprocess.run(argv, check=False, cwd=REPOSITORY, env=os.environ, timeout=280)


def rehearsed(target: Path) -> dict[str, str]:
    """What `opsverify rehearse` decides, and what did not pass."""
    run = target.parent / f"run-{time.monotonic_ns()}"
    command(target, "rehearse", "--report-dir", str(run))
    verdict: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    return not_passed(verdict)


def test_a_dump_is_accepted_and_one_that_lacks_rows_rejected(open_folder: Path) -> None:
    """Without any point in time given: the newest dump names its own."""
    tools, account = server_tools(MAJOR, open_folder)
    home = owned(open_folder / "dumped", account)
    dumps, target = owned(home / "dumps", account), home / "shop.toml"
    target.write_text(TEN_LINES.format(host=home, port=PORT, manager="pg_dump", described=DUMPS))
    where = ("-h", home, "-p", str(PORT), "-U", "postgres")
    with primary(tools, account, home, {"archive_mode": "off"}) as server:
        open_shop(server, home)
        command(target, "ledger", "capture")
        next_second()
        tools.succeed("pg_dumpall", *where, "--globals-only", "-f", home / "globals.sql", account=account)
        tools.succeed("pg_dump", *where, "-Fc", "-f", dumps / "whole.dump", "shop", account=account)
        assert rehearsed(target) == {"decision": "accept"}
        succeed(server, "CREATE DATABASE short TEMPLATE shop")
        done = server.psql("DELETE FROM orders WHERE id % 7 = 0", dbname="short")
        assert done.exit_code == 0, done.transcript
        next_second()
        tools.succeed("pg_dump", *where, "-Fc", "-f", dumps / "short.dump", "short", account=account)
    found = rehearsed(target)
    assert found["decision"] == "reject"
    assert any("orders" in message for name, message in found.items() if name.startswith("ledger.buckets"))
