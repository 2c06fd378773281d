"""Bundle: one `.tar.zst` with the sealed files of a run. The same run makes the same bytes.

It holds what the manifest covers, the manifest, the signature with its time stamp and the verdict, below a folder with
the run's id. It verifies with the public key and nothing of this program: `docs/verify-bundle.sh`.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, NoReturn, Self

from opsverify.errors import EvidenceError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import MANIFEST, paths_in
from opsverify.evidence.once_read import json_in, read_once
from opsverify.evidence.signature import SIGNATURE, VERDICT, verify_run
from opsverify.evidence.timestamp import TIMESTAMP
from opsverify.language.message import say
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING: Final = ".tar.zst"
LARGEST: Final = 8 << 30
"""Bytes of all files that are unpacked from a bundle: more is none."""
_MOST_FILES: Final = 1_000_000
_LONGEST_PATH: Final = 1024
_MOST_FOLDERS: Final = 64
_LONGEST_HEADER: Final = 64 << 10
"""Bytes of a header with a long name: `tarfile` reads each one as a whole, whatever size it says."""
_EXTENDED: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_NEVER: Final = (tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE)
"""Headers that no bundle has: one for all files after it, which piles up, and one of a file with holes."""


class _Header(tarfile.TarInfo):
    """A header of an archive, refused by its size before `tarfile` reads what belongs to it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header. Raises EvidenceError for one that no bundle has."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in _NEVER or (header.type in _EXTENDED and not 0 <= header.size <= _LONGEST_HEADER):
            raise EvidenceError(say("{name}: a header that no run has", name=_shown(header.name)))
        return header

    def _no_holes(self, *_found: object) -> NoReturn:
        raise EvidenceError(say("{name}: a header that no run has", name=_shown(self.name)))

    # It reads the map of a file with holes, of any length; the maps of other versions stand in a header.
    _proc_gnusparse_10 = _no_holes


_LEVEL: Final = 10
_LONGEST_SHOWN: Final = 200


def write_bundle(folder: Path, bundle: Path) -> None:
    """Write the bundle of a run. Raises EvidenceError where the run is not whole, or the file cannot be written."""
    import zstandard  # noqa: PLC0415 - only bundles need it

    if problems := verify_run(folder, None).problems:
        raise EvidenceError(say("{problem}; only a whole run makes a bundle", problem=problems[0]))
    verdict = read_once(folder / VERDICT)
    top = PurePosixPath(json_in(verdict, VERDICT)["run_id"]).name
    covered = [*paths_in(read_once(folder / MANIFEST)), MANIFEST, VERDICT]
    covered += [name for name in (SIGNATURE, TIMESTAMP) if (folder / name).exists()]
    if unfit := next((name for name in covered if not _fits(f"{top}/{name}")), None):
        raise EvidenceError(say("{name}: not a name that a bundle may have", name=_shown(unfit)))
    packed = io.BytesIO()
    with (
        zstandard.ZstdCompressor(level=_LEVEL, threads=0, write_checksum=True).stream_writer(
            packed, closefd=False
        ) as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(covered):
            content = verdict if name == VERDICT else read_once(folder / name, LARGEST)
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, 0
            archive.addfile(entry, io.BytesIO(content))
    write_atomic(bundle, packed.getvalue())


@contextlib.contextmanager
def unpacked(bundle: Path) -> Iterator[Path]:
    """The run's folder in a bundle, for as long as it is looked at. Raises EvidenceError for what is no bundle."""
    import zstandard  # noqa: PLC0415 - as above

    if bundle.exists() and not bundle.is_file():  # opening a FIFO would wait for whoever writes to it
        raise EvidenceError(say("{bundle}: not a bundle ({error})", bundle=bundle, error=say("not a regular file")))
    with tempfile.TemporaryDirectory(prefix="opsverify-bundle-") as place:
        try:
            with (
                bundle.open("rb") as file,
                zstandard.ZstdDecompressor().stream_reader(file) as plain,
                tarfile.open(fileobj=plain, mode="r|", tarinfo=_Header) as archive,
            ):
                _extract(archive, Path(place))
        except Exception as error:
            why = str(error) or type(error).__name__
            raise EvidenceError(say("{bundle}: not a bundle ({error})", bundle=bundle, error=_shown(why))) from error
        found = list(Path(place).iterdir())
        if len(found) != 1 or not found[0].is_dir():
            raise EvidenceError(say("{bundle}: expected one folder, found {count}", bundle=bundle, count=len(found)))
        yield found[0]


def _extract(archive: tarfile.TarFile, place: Path) -> None:
    """Write regular files below `place`; raise EvidenceError for anything else, and for more than a run has."""
    left, number = LARGEST, 0
    while (entry := archive.next()) is not None:
        archive.members.clear()  # type: ignore[attr-defined]  # it keeps every header; a million of them fill the memory
        is_file = entry.isreg() and not entry.issparse() and entry.size >= 0
        content = archive.extractfile(entry) if is_file and _fits(entry.name) else None
        if content is None:
            raise EvidenceError(say("{name}: not a file of a run's folder", name=_shown(entry.name)))
        left, number = left - entry.size, number + 1
        if left < 0 or number > _MOST_FILES:
            raise EvidenceError(say("{name}: more than any run has", name=_shown(entry.name)))
        target = place.joinpath(*PurePosixPath(entry.name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:  # twice in one archive: which one counts?
            _copy(content, file)


def _fits(name: str) -> bool:
    """Whether a name in an archive is that of a file in the folder of a run, short enough for every file system."""
    path = PurePosixPath(name)
    return (
        len(name) <= _LONGEST_PATH
        and 2 <= len(path.parts) <= _MOST_FOLDERS  # noqa: PLR2004 - folder, file
        and not path.is_absolute()
        and ".." not in path.parts
    )


def _shown(name: str) -> str:
    """A name that others chose, as a message may show it."""
    return plain_line(name)[:_LONGEST_SHOWN]


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while part := source.read(1 << 20):
        target.write(part)
