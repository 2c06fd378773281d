"""What a destroyed cluster leaves behind, as the tests here see it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from opsverify.recovery import Account, BaseBackup, Tools


@dataclass(frozen=True)
class Disaster:
    """A destroyed cluster's legacy: `base` and `archive`, and the moments between its commits.

    Committed were the marks `first` (before `between`) and `second` (after it, before `end`).
    """

    base: Path
    archive: Path
    between: dt.datetime
    end: dt.datetime
    backup: BaseBackup
    tools: Tools
    account: Account | None


def detach(path: Path) -> Path:
    """Make a linked file one of its own."""
    own = path.with_name(f"{path.name}.own")
    shutil.copy2(path, own)
    shutil.chown(own, path.stat().st_uid, path.stat().st_gid)
    own.replace(path)
    return path
