"""Interface of the kinds of backup: list what there is, verify it, and give it in plain form."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.postgres.tools import Account, run_tool

if TYPE_CHECKING:
    import datetime as dt
    from contextlib import AbstractContextManager
    from pathlib import Path

    from opsverify.recovery.backup.base_backup import Integrity
    from opsverify.recovery.model import BaseBackup
    from opsverify.recovery.postgres.tools import ToolRun


UNCLEAR: Final = "unclear"
"""The kind of a folder that may be a backup and could not be read."""
DAMAGED: Final = "damaged"
"""The kind of a backup that lacks a part, or has a part that could not be parsed."""


@dataclass(frozen=True)
class BackupEntry:
    """One backup. It restores what was committed up to `taken_at` without any WAL.

    `kind` is `full`, `incremental`, `differential`, `dump`, `DAMAGED` or `UNCLEAR`; `problem` is why it cannot be used.
    """

    name: str
    kind: str
    taken_at: dt.datetime
    problem: str | None = None


@dataclass(frozen=True)
class ArchivedWal:
    """The newest WAL segment of an archive, and when it arrived there."""

    name: str
    archived_at: dt.datetime


@dataclass(frozen=True)
class BackupList:
    """All backups, oldest first, and the newest archived WAL (None: this kind of backup has no WAL)."""

    backups: tuple[BackupEntry, ...]
    newest_wal: ArchivedWal | None

    @property
    def usable(self) -> tuple[BackupEntry, ...]:
        """The backups without a problem, oldest first."""
        return tuple(entry for entry in self.backups if entry.problem is None)


@dataclass(frozen=True)
class Unpacked:
    """A backup in plain form with a folder of plain WAL segments: what `restore` takes.

    `movable`: both lie in the drill's own folder, may be moved, and are not verified yet.
    `problems` are what the backup's own tool printed of single files while it restored them.
    """

    backup: BaseBackup
    archive: Path
    movable: bool
    problems: tuple[str, ...] = ()


class BackupSource(Protocol):
    """One kind of backup. Every method raises Inconclusive where something is missing or cannot be parsed."""

    def list_backups(self) -> BackupList:
        """List the backups; only catalogues and labels are read."""

    def verify(self) -> Integrity:
        """Verify the newest backup where it lies, with the tool that made it."""


class PhysicalSource(BackupSource, Protocol):
    """A kind of backup that WAL replay carries forward."""

    @property
    def until(self) -> dt.datetime | None:
        """The recovery target; None: as new as the WAL allows."""

    def unpacked(self, scratch: Path) -> AbstractContextManager[Unpacked]:
        """Bring the newest backup and its WAL into plain form, in the folder `scratch` if need be.

        Raises BackupDamaged where the backup cannot be unpacked.
        """


def run_manager(argv: tuple[str, ...], *, account: Account | None = None, timeout_s: float = 60.0) -> ToolRun:
    """Run a backup manager's command; see `run_tool`. Raises Inconclusive when it is not installed."""
    program = shutil.which(argv[0])
    if program is None:
        raise Inconclusive(
            say("{argv} is not installed: install it, or name its path as program in [recovery]", argv=argv[0])
        )
    return run_tool((program, *argv[1:]), timeout_s=timeout_s, account=account)


def read_json(answer: ToolRun) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that a tool printed. Raises Inconclusive when it failed or printed something else."""
    try:
        if answer.exit_code != 0:
            raise ValueError(f"exit {answer.exit_code}")
        return json.loads(answer.stdout)
    except ValueError as error:
        raise Inconclusive(
            say(
                "{program}: could not be parsed ({error}): {line!r}",
                program=" ".join(answer.argv),
                error=error,
                line=answer.last_line,
            )
        ) from error


def change_owner(folder: Path, account: Account | None) -> Path:
    """Make `folder` and all in it private to `account`, as whom the drill's server runs; the folder."""
    for parent, names, leaves in os.walk(folder):
        for name in (*names, *leaves, "."):
            path = os.path.join(parent, name)  # noqa: PTH118 - tens of thousands of files: plain strings are faster
            if account is not None:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    folder.chmod(0o700)
    return folder
