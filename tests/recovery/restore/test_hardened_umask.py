"""A drill under umask 077, as hardened systems have it: what is made for the unprivileged account is open to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from opsverify.recovery.postgres import tools as tools_module
from opsverify.recovery.postgres.scratch import make_open
from opsverify.recovery.postgres.tools import find_tools, for_account, may_enter, unprivileged
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.wreck import Disaster

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself"),
    pytest.mark.usefixtures("_hardened"),
]


@pytest.fixture
def _hardened(scratch: Path) -> Iterator[None]:  # noqa: ARG001 - made before, by somebody else
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_backup_is_restored_into_folders_that_are_not_there_yet(
    disaster: Disaster, base_copy: Path, scratch: Path, port: int
) -> None:
    """The folders above its data and the configuration that the backup lacks are made with modes of their own."""
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (base_copy / name).unlink(missing_ok=True)
    place = scratch / "new" / "drill"
    destination = Destination(place / "data", place / "s", port, settings={"shared_buffers": "16MB", "fsync": "off"})
    with restore(RestorePlan(base_copy, disaster.archive, destination, disaster.between)) as server:
        assert server.server.row("SELECT note FROM marks") == ["first"]


def test_copied_tools_can_be_run(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools that were installed under that umask are closed, and their copy is not."""
    monkeypatch.setattr(tools_module, "_SYSTEM_CACHE", scratch / "file")
    (scratch / "file").touch()
    private = scratch / "private" / "pg" / "bin"
    private.mkdir(parents=True)
    (private / "psql").write_text("#!/bin/sh\ncat $(dirname $0)/version\n")
    (private / "psql").chmod(0o700)
    (private / "version").write_text("psql (PostgreSQL) 18.1\n")
    account, copies = unprivileged(), scratch / "copies"
    make_open(copies)
    assert account is not None
    copied = for_account(type(find_tools(18))(private, 18, "test"), account, copies)
    assert may_enter(account, copied.folder)
    assert copied.run("psql", account=account).stdout == "psql (PostgreSQL) 18.1\n"
