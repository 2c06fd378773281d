"""pgBackRest and barman as a lab: repositories of both, of a PostgreSQL 15 that is gone afterwards."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.cli import main
from opsverify.config.recovery import Recovery
from opsverify.errors import Inconclusive
from opsverify.recovery.postgres.tools import Account, find_tools, run_tool
from tests.support.paths import REPOSITORY
from tests.support.primary import (
    PORT,
    commit_and_archive,
    next_second,
    owned,
    primary,
    server_tools,
    spread_out,
    succeed,
)
from tests.support.wreck import detach

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server

MAJOR: Final = 15
TEN: Final = 10
MANAGERS: Final = ("pgbackrest", "barman")
PGBACKREST = """
[global]
repo1-path={home}/repo
log-path={home}
lock-path={home}/lock
spool-path={home}/spool
start-fast=y
compress-type=gz
compress-level=1
[lab]
pg1-path={home}/data
pg1-socket-path={home}
pg1-port={port}
pg1-user=postgres
"""
BARMAN = """
[barman]
barman_user = {user}
configuration_files_directory = {home}/barman.d
barman_home = {home}/barman
log_file = {home}/barman.log
[lab]
description = lab
conninfo = host={home} port={port} user=postgres dbname=postgres
streaming_conninfo = host={home} port={port} user=postgres dbname=postgres
backup_method = postgres
archiver = on
immediate_checkpoint = true
compression = gzip
path_prefix = {bin}
"""


@dataclass(frozen=True)
class Lab:
    """Two backups of each manager that is installed, with commits behind each; the primary is gone."""

    home: Path
    account: Account | None
    user: str

    def recovery(self, manager: str, scratch: Path, **more: Any) -> Recovery:  # noqa: ANN401 - keys of [recovery]
        """A target's section on the manager's repository in `scratch`."""
        described = {
            "pgbackrest": {"stanza": "lab", "config": str(scratch / "pgbackrest.conf")},
            "barman": {"server": "lab", "config": str(scratch / "barman.conf"), "user": self.user},
        }
        (scratch / "drill").mkdir(exist_ok=True)
        (scratch / "drill").chmod(0o755)
        where = {"ledger": str(scratch / "ledger"), "scratch": str(scratch / "drill")}
        return Recovery.model_validate({"method": manager, manager: described[manager], **where, **more}, strict=False)


def configure(home: Path, bin_folder: Path, user: str, account: Account | None) -> None:
    """Write the configuration of both managers into `home`, with the folders that they need."""
    for name, template in (("pgbackrest.conf", PGBACKREST), ("barman.conf", BARMAN)):
        path = home / name
        path.write_text(template.format(home=home, port=PORT, user=user, bin=bin_folder))
        path.chmod(0o644)
    for name in ("repo", "lock", "spool", "barman", "barman.d"):
        if not (home / name).exists():
            owned(home / name, account)


@dataclass(frozen=True)
class Keeper:
    """Makes backups with the managers of `present`, as `account`."""

    home: Path
    account: Account | None
    present: tuple[str, ...]

    @property
    def archive_command(self) -> str:
        """Hand a segment to each manager, once a stanza is there to take it."""
        incoming = self.home / "barman" / "lab" / "incoming"
        push = {
            "pgbackrest": f"pgbackrest --config={self.home}/pgbackrest.conf --stanza=lab archive-push %p",
            "barman": f"mkdir -p {incoming} && cp %p {incoming}/.%f && mv {incoming}/.%f {incoming}/%f",
        }
        ready = f"(until [ -e {self.home}/ready ]; do sleep 0.05; done)"
        return " && ".join((ready, *(push[name] for name in self.present)))

    def prepare(self) -> None:
        """Make the stanza; from now on segments are taken."""
        self._run("pgbackrest", "--stanza=lab", "stanza-create")
        (self.home / "ready").touch()

    def back_up(self, kind: str) -> None:
        """Make a backup of `kind` with each manager that knows kinds."""
        self._run("pgbackrest", "--stanza=lab", "backup", f"--type={kind}")
        self._run("barman", "backup", "lab")

    def file(self, *, backups: bool) -> None:
        """Let barman file what was archived, and complete its newest backup by it."""
        self._run("barman", "archive-wal", "lab")
        if backups:
            self._run("barman", "check-backup", "lab", "latest")

    def _run(self, manager: str, *args: str) -> None:
        if manager not in self.present:
            return
        config = f"{self.home}/{manager}.conf"
        named = (f"--config={config}",) if manager == "pgbackrest" else ("-c", config)
        done = run_tool((str(shutil.which(manager)), *named, *args), account=self.account, timeout_s=120)
        assert done.exit_code == 0, done.transcript


SHOP: Final = """
CREATE TABLE orders (id bigserial PRIMARY KEY, note text, at timestamptz DEFAULT now());
INSERT INTO orders (note) SELECT 'n' || n FROM generate_series(1, 2000) n;
CREATE TABLE lines (code text PRIMARY KEY, title text NOT NULL);
INSERT INTO lines SELECT 'L' || n, 'line ' || n FROM generate_series(1, 40) n;
GRANT pg_read_all_data, pg_monitor TO reader;
"""
TEN_LINES: Final = """\
name = "plain"
environment = "production"
absent = ["services", "prometheus", "alertmanager", "redis", "mcp", "canary", "inbox", "regions"]
owners = {{ default = "dba" }}
postgres = {{ host = "{host}", port = {port}, dbname = "shop", login = {{ user = "reader" }}, sslmode = "disable" }}
[recovery]
method = "{manager}"
{manager} = {described}
ledger = "ledger.sqlite"
not_applicable = "a shop's database, without judgments"
"""
"""A plain PostgreSQL and a backup manager, and nothing else; docs/targets.md shows this target."""


def open_shop(server: Server, home: Path) -> None:
    """Make a database of its own, with nothing of the judgment platform."""
    succeed(server, "CREATE ROLE reader LOGIN")
    succeed(server, "CREATE DATABASE shop")
    program = str(server.tools.folder / "psql")
    where = ("-h", str(home), "-p", str(PORT), "-U", "postgres", "-d", "shop", "-v", "ON_ERROR_STOP=1", "-qX")
    made = run_tool((program, *where, "-c", SHOP))
    assert made.exit_code == 0, made.transcript


def record_shop(lab: Lab) -> None:
    """Capture the ledger beside the repositories, as a schedule would."""
    target = ten_lines(lab, MANAGERS[0], lab.home)
    assert main.main(["ledger", "capture", "--target", str(target)]) == 0


def ten_lines(lab: Lab, manager: str, folder: Path) -> Path:
    """Write the target of ten lines into `folder`, with the repositories there."""
    described = {
        "pgbackrest": f'{{ stanza = "lab", config = "{folder}/pgbackrest.conf" }}',
        "barman": f'{{ server = "lab", config = "{folder}/barman.conf", user = "{lab.user}" }}',
    }
    path = folder / f"{manager}.toml"
    path.write_text(TEN_LINES.format(host=lab.home, port=PORT, manager=manager, described=described[manager]))
    return path


def make_lab(open_folder: Path, name: str = "lab") -> Lab:
    """Run PostgreSQL 15, back it up twice with every manager there is, commit behind it, stop it."""
    try:
        tools, account = server_tools(MAJOR, open_folder)
    except Inconclusive as missing:
        pytest.skip(str(missing))
    present = tuple(name for name in MANAGERS if shutil.which(name))
    if not present:
        pytest.skip("neither pgbackrest nor barman is installed: apt-get install pgbackrest barman")
    user = account.name if account else getpass.getuser()
    home = owned(open_folder / name, account)
    configure(home, tools.folder, user, account)
    keeper = Keeper(home, account, present)
    made = Lab(home, account, user)
    with primary(tools, account, home, {"archive_command": keeper.archive_command}) as server:
        keeper.prepare()
        spread_out(server, owned(home / "slow", account))
        open_shop(server, home)
        record_shop(made)
        commit_and_archive(server, 10_001)
        keeper.file(backups=False)
        for number, kind in enumerate(("full", "incr"), start=2):
            keeper.back_up(kind)
            next_second()
            commit_and_archive(server, *range(10_000 * number, 10_000 * number + 4))
            keeper.file(backups=True)
    shutil.rmtree(home / "data")
    # What the server handed over when it stopped: barman would file it in the midst of a test.
    for path in (home / "barman" / "lab" / "incoming").glob("*"):
        path.unlink()
    return made


def copy_of(lab: Lab, scratch: Path) -> Path:
    """Copy repositories, configuration and ledger into `scratch`; the repositories' files are links."""
    names = [str(lab.home / name) for name in ("repo", "barman")]
    copied = run_tool(("/bin/cp", "-al", *names, str(scratch)))
    assert copied.exit_code == 0, copied.transcript
    configure(scratch, find_tools(MAJOR).folder, lab.user, lab.account)
    shutil.copy(lab.home / "ledger.sqlite", scratch)
    return scratch


def backed_up_file(stored: Path, manager: str) -> Path:
    """Return the file of pg_proc in the newest backup, or the one that it refers to."""
    pattern = (
        "repo/backup/lab/*F/pg_data/base/1/1255.gz" if manager == "pgbackrest" else "barman/lab/base/*/data/base/1/1255"
    )
    return max(stored.glob(pattern))


def flip(path: Path) -> None:
    """Change the byte in the middle of a file."""
    content = bytearray(detach(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def rehearse_ten_lines(lab: Lab, manager: str, stored: Path) -> dict[str, Any]:
    """Run `opsverify rehearse` on the target of ten lines; its verdict."""
    target, run = ten_lines(lab, manager, stored), stored / "run"
    assert len(target.read_text().splitlines()) == TEN
    argv = [sys.executable, "-m", "opsverify", "rehearse", "--target", str(target), "--report-dir", str(run)]
    subprocess.run(argv, check=False, cwd=REPOSITORY, env=os.environ, timeout=280)
    verdict: dict[str, Any] = json.loads((run / "verdict.json").read_text())
    shutil.rmtree(run)
    return verdict


def not_passed(verdict: dict[str, Any]) -> dict[str, str]:
    """Its decision, and the message of each check that is neither passed nor not applicable, by id."""
    checks = [one for one in verdict["checks"] if one["outcome"] not in ("pass", "not_applicable")]
    return {"decision": verdict["decision"]} | {one["id"]: one["message"] for one in checks}
