"""Packages of npm that tests run: installed once, as a lock file names them, into the cache folder."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.config.project import cache_folder
from opsverify.report.allure_cli import Node, run

if TYPE_CHECKING:
    from pathlib import Path

_LOCKED: Final = ("package.json", "package-lock.json")
_INSTALL_S: Final = 600.0


def home_of(source: Path, name: str) -> Path:
    """Where the packages of the lock file in `source` are kept, installed or not: another lock is another folder."""
    lock = hashlib.sha256(b"".join((source / file).read_bytes() for file in _LOCKED)).hexdigest()
    return cache_folder() / f"{name}-{lock[:12]}"


def install(source: Path, name: str, node: Node) -> Path:
    """Install the packages unless they are there; their folder. Raises EvidenceError with npm's last line."""
    home = home_of(source, name)
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        if not home.exists():
            partial = home.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for file in _LOCKED:
                shutil.copy(source / file, partial)
            command = (*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            run(command, partial, _INSTALL_S, f"npm could not install {name}")
            partial.rename(home)
    return home
