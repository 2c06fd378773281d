"""Bundle: one `.tar.zst` with the sealed files of a run. The same run makes the same bytes.

It holds what the manifest covers, the manifest, the signature with its time stamp and the verdict, below a folder with
the run's id. It verifies with the public key and nothing of this program: `docs/verify-bundle.sh`.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.manifest import MANIFEST, paths_in
from opsverify.evidence.once_read import read_once
from opsverify.evidence.signature import SIGNATURE, VERDICT, verify_run
from opsverify.evidence.timestamp import TIMESTAMP
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING: Final = ".tar.zst"
LARGEST: Final = 8 << 30
"""Bytes of all files that are unpacked from a bundle: more is none."""
_MOST_FILES: Final = 1_000_000
_LEVEL: Final = 10


def write_bundle(folder: Path, bundle: Path) -> None:
    """Write the bundle of a run. Raises EvidenceError where the run is not whole, or the file cannot be written."""
    import zstandard  # noqa: PLC0415 - only bundles need it

    if problems := verify_run(folder, None).problems:
        raise EvidenceError(say("{problem}; only a whole run makes a bundle", problem=problems[0]))
    verdict = read_once(folder / VERDICT)
    top = PurePosixPath(json.loads(verdict)["run_id"]).name
    covered = [*paths_in(read_once(folder / MANIFEST)), MANIFEST, VERDICT]
    covered += [name for name in (SIGNATURE, TIMESTAMP) if (folder / name).exists()]
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

    with tempfile.TemporaryDirectory(prefix="opsverify-bundle-") as place:
        try:
            with (
                bundle.open("rb") as file,
                zstandard.ZstdDecompressor().stream_reader(file) as plain,
                tarfile.open(fileobj=plain, mode="r|") as archive,
            ):
                _extract(archive, Path(place))
        except (OSError, tarfile.TarError, zstandard.ZstdError, UnicodeError) as error:
            raise EvidenceError(say("{bundle}: not a bundle ({error})", bundle=bundle, error=error)) from error
        found = list(Path(place).iterdir())
        if len(found) != 1 or not found[0].is_dir():
            raise EvidenceError(say("{bundle}: expected one folder, found {count}", bundle=bundle, count=len(found)))
        yield found[0]


def _extract(archive: tarfile.TarFile, place: Path) -> None:
    """Write regular files below `place`; raise EvidenceError for anything else, and for more than a run has."""
    left = LARGEST
    for number, entry in enumerate(archive):
        path = PurePosixPath(entry.name)
        if not entry.isreg() or path.is_absolute() or ".." in path.parts or len(path.parts) < 2:  # noqa: PLR2004 - folder, file
            raise EvidenceError(say("{name}: not a file of a run's folder", name=entry.name))
        left -= entry.size
        if left < 0 or number >= _MOST_FILES:
            raise EvidenceError(say("{name}: more than any run has", name=entry.name))
        target = place.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(entry)
        if content is None:
            raise EvidenceError(say("{name}: not a file of a run's folder", name=entry.name))
        with target.open("xb") as file:  # twice in one archive: which one counts?
            _copy(content, file)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while part := source.read(1 << 20):
        target.write(part)
