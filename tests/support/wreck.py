"""The remains of a destroyed cluster, as these tests read them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.config.database import Login, PostgresConfig
from opsverify.config.recovery import Heartbeat
from opsverify.recovery.rpo.heartbeat_writer import Writer

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import Account, Tools


_CHECKSUM = 40 + 20
"""Behind the long page header, xl_crc of XLogRecord (access/xlogrecord.h)."""


@dataclass(frozen=True)
class Disaster:
    """A destroyed cluster's legacy: `base` and `archive`, and the moments between its commits.

    Committed were three beats and the mark `first` (before `between`), `second` and two beats (after it, before `end`).
    """

    base: Path
    archive: Path
    between: dt.datetime
    end: dt.datetime
    backup: BaseBackup
    tools: Tools
    account: Account | None
    heartbeat_log: Path


def detach(path: Path) -> Path:
    """Make a linked file one of its own."""
    own = path.with_name(f"{path.name}.own")
    shutil.copy2(path, own)
    shutil.chown(own, path.stat().st_uid, path.stat().st_gid)
    own.replace(path)
    return path


def damage_record(segment: Path) -> Path:
    """Spoil the checksum of the first record in a segment whose header stays right."""
    content = bytearray(segment.read_bytes())
    content[_CHECKSUM] ^= 0xFF
    segment.write_bytes(content)
    return segment


def heartbeat_writer(host: Path, log: Path, port: int = 5432) -> Writer:
    """Make a heartbeat for the server whose socket is in `host`; it does not rest between beats."""
    login = Login(user="postgres")
    where = PostgresConfig(host=str(host), port=port, dbname="postgres", login=login, sslmode="disable")
    return Writer(Heartbeat(log=str(log), login=login, every="0s"), where, None, say=lambda _line: None)
