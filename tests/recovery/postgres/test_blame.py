"""Blame: messages of PostgreSQL that tell nothing about the backup, and those that do."""

from __future__ import annotations

import pytest

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.recovery.backup.base_backup import BackupDamaged
from opsverify.recovery.postgres.blame import fault_of

MACHINE = (
    'could not access file "$libdir/postgis-3": No such file or directory',
    'ERROR:  extension "postgis" is not available',
    'could not open extension control file "/usr/share/postgis.control": No such file or directory',
    'FATAL:  extension "timescaledb" must be preloaded',
    "FATAL:  resource manager with ID 130 not registered",
    "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
    'FATAL:  could not write lock file "postmaster.pid": No space left on device',
    'LOG:  invalid value for parameter "lc_messages": "ko_KR.UTF-8"',
    'LOG:  invalid value for parameter "io_method": "io_uring"',
    'LOG:  could not open configuration file "/etc/postgresql/main.conf": No such file or directory',
    'ERROR:  invalid LC_COLLATE locale name: "ko_KR.UTF-8"',
    "pg_restore: error: unsupported version (1.16) in file header",
)
BACKUP = (
    "PANIC:  could not locate a valid checkpoint record at 0/2000028",
    'ERROR:  invalid page in block 3 of relation "base/5/16384"',
    'LOG:  syntax error in file "/data/postgresql.conf" line 3, near token "?"',
    'LOG:  unrecognized configuration parameter "no_such_parameter" in file "postgresql.conf" line 9',
    'ERROR:  role "plant" does not exist',
    "pg_restore: error: could not read from input file: end of file",
)


@pytest.mark.parametrize("message", MACHINE)
def test_what_this_machine_lacks_is_no_fault_of_the_backup(message: str) -> None:
    """A hold, which says that nothing is known about the backup."""
    error = fault_of(message, f"pg_restore: {message}")
    assert isinstance(error, Inconclusive)
    assert not isinstance(error, NotRestorable)
    assert "tells nothing about the backup" in str(error)


@pytest.mark.parametrize("message", BACKUP)
def test_everything_else_is_the_backups_fault(message: str) -> None:
    """A failure, as the caller's kind of damage."""
    assert isinstance(fault_of(message, message, BackupDamaged), BackupDamaged)
