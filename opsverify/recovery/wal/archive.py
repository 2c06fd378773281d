"""Files of a WAL archive, plain or as an `archive_command` compresses them: found, read, and unpacked elsewhere.

The archive is only read. gzip, bzip2 and xz are read by Python's own modules, Zstandard and LZ4 by
their programs. Of a file that is there twice, the plain one is read, else the first of `PROGRAMS`: the compressed
one may not be complete yet.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shlex
import shutil
import subprocess
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

PROGRAMS: Final = {".gz": "gzip", ".zst": "zstd", ".lz4": "lz4", ".xz": "xz", ".bz2": "bzip2"}
"""Programs that unpack a file, by its suffix; each takes `-dcq` and reads its standard input."""

_OPENERS: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file)),
    ".xz": lambda file: lzma.LZMAFile(file),  # noqa: PLW0108, SIM115 - of several signatures this one
    ".bz2": lambda file: bz2.BZ2File(file),  # noqa: PLW0108 - the same
}
_FORMS: Final = ("", *PROGRAMS)
_ARCHIVED: Final = re.compile(r"([0-9A-F]{24}|[0-9A-F]{8}\.history)(\.gz|\.zst|\.lz4|\.xz|\.bz2)?")
_CHUNK: Final = 1 << 20
_KEPT: Final = 1 << 16
_DEBIAN: Final = {"xz": "xz-utils"}


class UnreadableArchiveFile(Exception):  # noqa: N818 - the file is at fault, not the program
    """A compressed file is truncated or corrupt; the message is that of what unpacked it."""


@dataclass(frozen=True)
class UnpackedFile:
    """An archived file, unpacked: its `size` in bytes and its first bytes; or the `fault` that stopped it."""

    size: int
    head: bytes
    fault: str | None = None


def find_file(archive: Path, name: str) -> Path | None:
    """Return the file that holds `name` in `archive`; None where there is none."""
    return next((path for form in _FORMS if (path := archive / f"{name}{form}").is_file()), None)


def archive_files(archive: Path) -> dict[str, Path]:
    """Return segments and timeline histories in `archive` by name, in order. Raises OSError if it cannot be read."""
    found: dict[str, Path] = {}
    for path in archive.iterdir():
        if match := _ARCHIVED.fullmatch(path.name):
            before = found.get(match[1])
            if before is None or _rank(path) < _rank(before):
                found[match[1]] = path
    return dict(sorted(found.items()))


def unpacked_pieces(path: Path) -> Iterator[bytes]:
    """Return the content of `path` piece by piece, decompressed if need be.

    Raises UnreadableArchiveFile for a file that is truncated or corrupt, OSError for one that cannot be read, and
    Inconclusive where the program for it is not installed.
    """
    form = path.suffix if path.suffix in PROGRAMS else ""
    if form and form not in _OPENERS:
        yield from _by_program(path, PROGRAMS[form])
        return
    with path.open("rb") as stored:
        content = _OPENERS[form](stored) if form else stored
        try:
            while piece := content.read(_CHUNK):
                yield piece
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise UnreadableArchiveFile(str(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise UnreadableArchiveFile(str(error)) from error


def read_text(path: Path) -> str:
    """Return a small text file of the archive. Raises OSError, or Inconclusive for one that cannot be unpacked."""
    try:
        return b"".join(unpacked_pieces(path)).decode()
    except (UnreadableArchiveFile, UnicodeDecodeError) as error:
        raise Inconclusive(say("{path} cannot be read: {error}", path=path, error=error)) from error


def read_head(path: Path, head: int) -> UnpackedFile:
    """Return the size of `path` and its first `head` bytes; a compressed file is read to its end, once.

    Raises OSError and Inconclusive as `unpacked_pieces`.
    """
    state = path.stat()
    if path.suffix in PROGRAMS:
        return _read_to_end(path, head, state.st_size, state.st_mtime_ns)
    with path.open("rb") as file:
        return UnpackedFile(state.st_size, file.read(head))


@contextmanager
def plain_folder(name: str, path: Path) -> Iterator[Path]:
    """Give a folder in which `path` lies plain, as `name`: the archive itself, or one that is removed again.

    Raises OSError, UnreadableArchiveFile and Inconclusive as `unpacked_pieces`.
    """
    if path.suffix not in PROGRAMS:
        yield path.parent
        return
    with tempfile.TemporaryDirectory(prefix="opsverify-wal-") as folder:
        write_plain(path, Path(folder) / name)
        yield Path(folder)


def write_plain(path: Path, target: Path) -> None:
    """Make `target` the content of `path` in plain form: a link, or a file where it is compressed.

    Raises OSError, UnreadableArchiveFile and Inconclusive as `unpacked_pieces`.
    """
    if path.suffix not in PROGRAMS:
        target.symlink_to(path)
        return
    with target.open("xb") as file:
        for piece in unpacked_pieces(path):
            file.write(piece)


def restore_command(archive: Path) -> str:
    """Return the `restore_command` that fetches plain and compressed files alike from `archive`.

    The programs unpack, because the server's account may not be able to run Python. Raises Inconclusive when one is not
    installed, or the archive cannot be read.
    """
    try:
        forms = {path.suffix for path in archive_files(archive).values()} & PROGRAMS.keys()
    except OSError as error:
        raise Inconclusive(
            say("WAL archive {archive} cannot be read: {error}", archive=archive, error=error.strerror)
        ) from error
    stored = shlex.quote(str(archive).replace("%", "%%") + "/%f")
    copy = f'cp {stored} "%p"'
    if not forms:
        return copy
    tests = [f"if test -e {stored}; then {copy}"]
    for form in (form for form in PROGRAMS if form in forms):
        program = shlex.quote(_program(PROGRAMS[form]))
        tests.append(f'elif test -e {stored}{form}; then {program} -dcq < {stored}{form} > "%p"')
    return "; ".join((*tests, "else exit 1", "fi"))


def _rank(path: Path) -> int:
    return _FORMS.index(path.suffix if path.suffix in PROGRAMS else "")


# By size and time, not by path alone: an archive changes while it is read.
@lru_cache(_KEPT)
def _read_to_end(path: Path, head: int, _stored: int, _modified_ns: int) -> UnpackedFile:
    size, first = 0, b""
    try:
        for piece in unpacked_pieces(path):
            first += piece[: head - len(first)]
            size += len(piece)
    except UnreadableArchiveFile as error:
        return UnpackedFile(size, first, str(error))
    return UnpackedFile(size, first)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Inconclusive(
            say(
                "{name} is not installed, and WAL is compressed with it: install {get}",
                name=name,
                get=_DEBIAN.get(name, name),
            )
        )
    return path


def _by_program(path: Path, name: str) -> Iterator[bytes]:
    with path.open("rb") as file, tempfile.TemporaryFile() as errors:
        argv = (_program(name), "-dcq")
        with subprocess.Popen(argv, stdin=file, stdout=subprocess.PIPE, stderr=errors, cwd="/") as process:
            assert process.stdout  # noqa: S101 - stdout=PIPE
            try:
                while piece := process.stdout.read(_CHUNK):
                    yield piece
            finally:
                process.stdout.close()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors="backslashreplace").strip().splitlines()
            raise UnreadableArchiveFile(
                lines[-1].strip()
                if lines
                else say("{name} exit {returncode}", name=name, returncode=process.returncode)
            )
