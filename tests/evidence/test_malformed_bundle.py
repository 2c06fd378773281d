"""Malformed bundles: refused by name, without a traceback, with little memory, and the others are merged."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest
import zstandard

from opsverify.cli.main import main
from opsverify.errors import EvidenceError
from opsverify.evidence.bundle import unpacked, write_bundle
from opsverify.evidence.signature import verify_run
from tests.support.finished_run import finish

if TYPE_CHECKING:
    from pathlib import Path


def _entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry


def _pax(**headers: str) -> bytes:
    """A file of three letters whose extended header holds `headers`."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("run/x")
        entry.size, entry.pax_headers = 3, headers
        archive.addfile(entry, io.BytesIO(b"1\n0"))
    return made.getvalue()


def _sparse(version: str, **more: str) -> bytes:
    return _pax(**{"GNU.sparse.major": version, "GNU.sparse.minor": "0", "GNU.sparse.name": "run/y", **more})


def _large_header(kind: bytes) -> bytes:
    return _entry("run/long", kind, size=1 << 20).tobuf() + bytes(1 << 20) + _entry("run/x").tobuf() + bytes(1024)


MALFORMED: Final = {
    "a NUL in a name": _pax(path="run/ver\0dict.json"),
    "1500 folders": _pax(path="/".join(["a"] * 1500)),
    "a long name": _pax(path="run/" + "/".join(["a" * 200] * 8)),
    "a size below zero": _pax(size="-5"),
    "sparse 0.0": _pax(**{"GNU.sparse.size": "abc"}),
    "sparse 0.1": _pax(**{"GNU.sparse.map": "0,1,5", "GNU.sparse.size": "100"}),
    "sparse 1.0": _sparse("1", **{"GNU.sparse.realsize": "100"}),
    "sparse of GNU": _entry("run/x", tarfile.GNUTYPE_SPARSE).tobuf() + bytes(1024),
    "a header for all": _large_header(tarfile.XGLTYPE),
    "a large pax header": _large_header(tarfile.XHDTYPE),
    "a large name": _large_header(tarfile.GNUTYPE_LONGNAME),
    "a large link": _large_header(tarfile.GNUTYPE_LONGLINK),
    "a file as a folder": _entry("run/x").tobuf() + _entry("run/x/y").tobuf() + bytes(1024),
}
"""Archives that are none of a run, whatever `tarfile` makes of them."""


@pytest.mark.parametrize("archive", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_archive_is_no_bundle_by_name(
    archive: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever `tarfile` raises for it: the file is named, in one line, and the exit code is that of a hold."""
    bundle = tmp_path / "x.tar.zst"
    bundle.write_bytes(zstandard.compress(archive))
    with pytest.raises(EvidenceError, match=r"x\.tar\.zst"), unpacked(bundle):
        pass
    assert main(["evidence", "verify", str(bundle)]) == 10
    assert "Traceback" not in capsys.readouterr().err


def _peak(bundle: Path) -> int:
    """The most bytes that reading it took."""
    tracemalloc.start()
    with contextlib.suppress(EvidenceError), unpacked(bundle):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_large_header_is_not_read(kind: bytes, tmp_path: Path) -> None:
    """A small bundle with a header of 256 MB takes no such memory."""
    bundle = tmp_path / "x.tar.zst"
    with bundle.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
        out.write(_entry("run/long", kind, size=256 << 20).tobuf())
        for _ in range(256):
            out.write(bytes(1 << 20))
    assert _peak(bundle) < 16 << 20


def test_the_map_of_a_file_with_holes_is_not_read(tmp_path: Path) -> None:
    """A map in the file's own content may be of any length: 6 MB of it would become 24 MB of numbers."""
    holes = _sparse("1", **{"GNU.sparse.realsize": "100"})
    bundle = tmp_path / "x.tar.zst"
    bundle.write_bytes(zstandard.compress(holes[: holes.rindex(b"1\n0")] + b"9999999\n" + b"1\n" * (3 << 20)))
    assert _peak(bundle) < 16 << 20


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A FIFO with a bundle's name."""
    os.mkfifo(tmp_path / "x.tar.zst")
    with pytest.raises(EvidenceError, match="not a regular file"), unpacked(tmp_path / "x.tar.zst"):
        pass


@pytest.mark.parametrize("deep", ["/".join(["a"] * 63) + "/f", "/".join(["b" * 200] * 5) + "/f"])
def test_what_could_not_be_unpacked_is_not_bundled(run_dir: Path, tmp_path: Path, deep: str) -> None:
    """A name that no bundle may have is refused where one is written, and not when it is needed."""
    (run_dir / deep).parent.mkdir(parents=True)
    (run_dir / deep).touch()
    finish(run_dir)
    with pytest.raises(EvidenceError, match="not a name that a bundle may have"):
        write_bundle(run_dir, tmp_path / "x.tar.zst")
    assert not (tmp_path / "x.tar.zst").exists()


def test_folders_without_end_are_a_problem_of_the_run(run_dir: Path) -> None:
    """Folders in each other, as an unpacked archive may leave them, are named and no traceback."""
    finish(run_dir)
    here = os.open(run_dir, os.O_RDONLY)
    for _ in range(2500):  # more than a path may have, and than earlier versions of Python follow
        os.mkdir("a", dir_fd=here)
        inner = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        assert [str(each) for each in verify_run(run_dir, None).problems] == [
            "manifest.sha256: folders nested too deeply; nothing can be verified"
        ]
    finally:
        subprocess.run(["rm", "-rf", str(run_dir)], check=True)
