"""Files of a run's folder, written atomically: each is whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from typing import TYPE_CHECKING, NoReturn

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATEST = "latest"
_SMALL = 1 << 20


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`: a reader sees the old file or the new one, never a part.

    Who may use the folder may read the file (0700: 0600; 0755: 0644), whatever the umask of this process.
    Durable once it returns. Raises EvidenceError, and leaves no file, when the folder is missing, read-only or full.
    """
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                os.fchmod(file.fileno(), mode_in(path.parent))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error}); free or unlock the folder", path=path, error=error.strerror)
        ) from error


def walk(folder: str | Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`. Raises OSError for a folder that cannot be read, which it would leave out without a word."""

    def refuse(error: OSError) -> NoReturn:
        raise error

    yield from os.walk(folder, onerror=refuse)


def mode_in(folder: Path) -> int:
    """The mode of a file in `folder`: the folder's own, without the right to enter."""
    return folder.stat().st_mode & 0o666 | 0o600


def restrict(folder: Path) -> None:
    """Give all that is in `folder` the folder's own rights: files of other plugins have those of the umask."""
    rights = folder.stat().st_mode & 0o777
    for place, folders, files in walk(folder):
        for names, mode in ((folders, rights), (files, rights & 0o666)):
            for name in names:
                path = f"{place}/{name}"
                found = os.lstat(path).st_mode
                if not stat.S_ISLNK(found) and stat.S_IMODE(found) != mode:
                    os.chmod(path, mode)  # noqa: PTH101 - thousands of them


def link_latest(reports_dir: Path, run_dir: Path) -> None:
    """Point `reports_dir/latest` at `run_dir` in one step, relatively, so that the folder can be moved.

    Raises EvidenceError when the link cannot be made, or `latest` is a real folder.
    """
    link = reports_dir / LATEST
    draft = reports_dir / f".{LATEST}.{secrets.token_hex(4)}.tmp"
    try:
        try:
            draft.symlink_to(os.path.relpath(run_dir.resolve(), reports_dir.resolve()), target_is_directory=True)
            draft.replace(link)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EvidenceError(
            say("{link}: cannot be pointed at {name} ({error})", link=link, name=run_dir.name, error=error.strerror)
        ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content in lower-case hex. Raises OSError when it cannot be read."""
    with path.open("rb", buffering=0) as file:
        return _sum_in(file.fileno())


def sum_of_regular(path: str) -> str | None:
    """The same for a file that is none but a regular one; None for anything else, a link above all."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        raise
    try:
        return _sum_in(handle) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)


def _sum_in(handle: int) -> str:
    size = os.fstat(handle).st_size
    # A run holds thousands of small files, for each of which file_digest prepares a buffer of 256 KB.
    if size < _SMALL and len(content := os.read(handle, size + 1)) == size:
        return hashlib.sha256(content).hexdigest()
    os.lseek(handle, 0, os.SEEK_SET)
    with open(handle, "rb", buffering=0, closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable: without it the old name may reappear after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
