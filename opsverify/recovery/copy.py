"""Copy a base backup into a folder of its own, which is removed again afterwards."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.recovery.tools import Account


@contextmanager
def private_folder(path: Path, account: Account | None, apart_from: tuple[Path, ...]) -> Iterator[None]:
    """Make `path` (absent, or empty and our own) a folder of `account` alone, and remove it in the end.

    Raises Inconclusive when the folder is not empty, is somebody else's, or overlaps a folder of
    `apart_from`.
    """
    resolved = path.resolve()
    for other in apart_from:
        if resolved.is_relative_to(other) or other.is_relative_to(resolved):
            raise Inconclusive(f"{path} overlaps {other}, which a restore must not touch: choose another folder")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise Inconclusive(f"{path} is a link or belongs to somebody else: a restore wants a folder of its own")
        if any(path.iterdir()):
            raise Inconclusive(f"{path} is not empty: a restore wants a new or empty folder, and touches no other")
        path.chmod(0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise Inconclusive(f"{path} cannot be used for a restore: {error.strerror}") from error
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)  # what cannot be removed must not hide why the restore ended


def copy_backup(source: Path, target: Path, account: Account | None, progress: Callable[[int, int], None]) -> None:
    """Copy every file of `source` into the empty `target`, as private files of `account`; progress in bytes.

    Raises Inconclusive for a backup with links (tablespaces, a WAL folder elsewhere): followed, they would
    lead the restored server into folders of the original; and when reading, writing or the disk's space
    fails.
    """
    files, folders, total = listing(source)
    free = shutil.disk_usage(target).free
    if total > free:
        raise Inconclusive(
            f"{target} has {free:,} bytes free, the backup needs {total:,}: name a larger scratch folder"
        )
    done = 0
    try:
        for folder in folders:
            _own((target / folder), account, make=True)
        for name, size in files:
            shutil.copyfile(source / name, target / name)
            _own(target / name, account, make=False)
            done += size
            progress(done, total)
    except OSError as error:
        raise Inconclusive(f"copying {source} to {target}: {error.filename}: {error.strerror}") from error


def move_backup(source: Path, target: Path, account: Account | None, progress: Callable[[int, int], None]) -> None:
    """Move every file of `source`, which lies in the drill's own folder, as `copy_backup` would copy it."""
    files, folders, total = listing(source)
    try:
        for entry in source.iterdir():
            entry.rename(target / entry.name)
        for folder in folders:
            _own(target / folder, account, make=False, mode=0o700)
        for name, _ in files:
            _own(target / name, account, make=False)
    except OSError as error:
        raise Inconclusive(f"moving {source} to {target}: {error.filename}: {error.strerror}") from error
    progress(total, total)


def listing(source: Path) -> tuple[list[tuple[str, int]], list[str], int]:
    """Return files with their sizes and folders of a backup, relative to it, and its size in bytes.

    Raises Inconclusive for a backup with links.
    """
    files: list[tuple[str, int]] = []
    folders: list[str] = []
    for parent, names, leaves in os.walk(source):
        for name in (*names, *leaves):
            path = os.path.join(parent, name)  # noqa: PTH118 - tens of thousands of files: plain strings are faster
            if os.path.islink(path):  # noqa: PTH114
                raise Inconclusive(
                    f"{path} is a link: backups with tablespaces or a WAL folder elsewhere are not supported"
                )
            relative = os.path.relpath(path, source)
            if name in names:
                folders.append(relative)
            else:
                files.append((relative, os.path.getsize(path)))  # noqa: PTH202
    return files, folders, sum(size for _, size in files)


def _own(path: Path, account: Account | None, *, make: bool, mode: int = 0o600) -> None:
    if make:
        path.mkdir(mode=0o700)
    else:
        path.chmod(mode)
    if account is not None:
        os.chown(path, account.uid, account.gid)
