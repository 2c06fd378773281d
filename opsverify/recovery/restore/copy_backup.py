"""Copy of a base backup in a folder of its own, which is removed afterwards."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.evidence.files import walk
from opsverify.language.message import say
from opsverify.recovery.backup.tablespaces import LINKS, TABLESPACES, Tablespace, tablespaces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account


@contextmanager
def private_folder(path: Path, account: Account | None, apart_from: tuple[Path, ...]) -> Iterator[None]:
    """Make `path` (absent, or empty and this user's) a folder of `account` alone, and remove it in the end.

    Raises Inconclusive when the folder is not empty, belongs to another user, or overlaps a folder of
    `apart_from`.
    """
    resolved = path.resolve()
    for other in apart_from:
        if resolved.is_relative_to(other) or other.is_relative_to(resolved):
            raise Inconclusive(
                say(
                    "{path} overlaps {other}, which a restore must not touch: choose another folder",
                    path=path,
                    other=other,
                )
            )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise Inconclusive(say("{path} is a link or belongs to another user: name a folder of your own", path=path))
        if any(path.iterdir()):
            raise Inconclusive(say("{path} is not empty: name a new or empty folder for the restore", path=path))
        path.chmod(0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise Inconclusive(
            say("{path} cannot be used for a restore: {error}", path=path, error=error.strerror)
        ) from error
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)  # an error here must not hide why the restore ended


@dataclass(frozen=True)
class BackupContents:
    """Contents of a backup: paths relative to it, files with their sizes; `size` is the sum, in bytes.

    Those of a tablespace lead through its link in `pg_tblspc`.
    """

    files: tuple[tuple[str, int], ...]
    folders: tuple[str, ...]
    tablespaces: tuple[Tablespace, ...]

    @property
    def size(self) -> int:
        """Bytes to copy."""
        return sum(size for _, size in self.files)


def copy_backup(source: Path, target: Path, account: Account | None, progress: Callable[[int, int], None]) -> None:
    """Copy every file of `source` into the empty `target`, as private files of `account`; progress in bytes.

    Its tablespaces go into folders of `TABLESPACES` next to `target`, which must exist and be empty, and are linked.
    Raises Inconclusive as `listing`, and when reading, writing or the disk's space fails.
    """
    found = listing(source)
    total = found.size
    free = shutil.disk_usage(target).free
    if total > free:
        raise Inconclusive(
            say(
                "{target} has {free:,} bytes free, the backup needs {total:,}: name a larger scratch folder",
                target=target,
                free=free,
                total=total,
            )
        )
    done = 0
    try:
        for folder in found.folders:
            _own((target / folder), account, make=True)
            if folder == LINKS:
                _make_tablespaces(target, found.tablespaces, account)
        for name, size in found.files:
            shutil.copyfile(source / name, target / name)
            _own(target / name, account, make=False)
            done += size
            progress(done, total)
    except OSError as error:
        raise Inconclusive(
            say(
                "copying {source} to {target}: {filename}: {error}",
                source=source,
                target=target,
                filename=error.filename,
                error=error.strerror,
            )
        ) from error


def move_backup(source: Path, target: Path, account: Account | None, progress: Callable[[int, int], None]) -> None:
    """Move every file of `source`, which lies in the drill's own folder, as `copy_backup` would copy it.

    Its tablespaces stay where they are: in `TABLESPACES` next to `target`.
    """
    found = listing(source)
    try:
        for entry in source.iterdir():
            entry.rename(target / entry.name)
        for folder in found.folders:
            _own(target / folder, account, make=False, mode=0o700)
        for name, _ in found.files:
            _own(target / name, account, make=False)
    except OSError as error:
        raise Inconclusive(
            say(
                "moving {source} to {target}: {filename}: {error}",
                source=source,
                target=target,
                filename=error.filename,
                error=error.strerror,
            )
        ) from error
    progress(found.size, found.size)


def listing(source: Path) -> BackupContents:
    """Return the contents of the backup `source`, with the files of its tablespaces.

    Raises Inconclusive for any other link in it (a WAL folder elsewhere): followed, it would lead the restored
    server into folders of the original; and for what cannot be read.
    """
    try:
        return _listed(source)
    except OSError as error:
        raise Inconclusive(
            say("{source}: {path} cannot be read ({error}); give whoever rehearses the right to read the backup",
                source=source, path=error.filename, error=error.strerror)
        ) from error  # fmt: skip


def _listed(source: Path) -> BackupContents:
    files: list[tuple[str, int]] = []
    folders: list[str] = []
    tablespaces = tablespaces_of(source)
    linked = [f"{LINKS}/{tablespace.oid}" for tablespace in tablespaces]
    for root in (source, *(source / link for link in linked)):
        for parent, names, leaves in walk(root):
            for name in (*names, *leaves):
                path = os.path.join(parent, name)  # noqa: PTH118 - tens of thousands of files: plain strings are faster
                relative = os.path.relpath(path, source)
                if relative in linked:
                    continue
                if os.path.islink(path):  # noqa: PTH114
                    raise Inconclusive(
                        say("{path} is a link: backups with a WAL folder elsewhere are not supported", path=path)
                    )
                if name in names:
                    folders.append(relative)
                else:
                    files.append((relative, os.path.getsize(path)))  # noqa: PTH202
    return BackupContents(tuple(files), tuple(folders), tablespaces)


def _make_tablespaces(target: Path, tablespaces: tuple[Tablespace, ...], account: Account | None) -> None:
    for tablespace in tablespaces:
        folder = target.with_name(TABLESPACES) / tablespace.oid
        _own(folder, account, make=True)
        link = target / LINKS / tablespace.oid
        link.symlink_to(folder)
        if account is not None:
            os.chown(link, account.uid, account.gid, follow_symlinks=False)


def _own(path: Path, account: Account | None, *, make: bool, mode: int = 0o600) -> None:
    if make:
        path.mkdir(mode=0o700)
    else:
        path.chmod(mode)
    if account is not None:
        os.chown(path, account.uid, account.gid)
