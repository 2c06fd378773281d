"""Files are whole or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import EvidenceError
from opsverify.evidence import files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("content", ["판단\n", b"\x00\xff"], ids=["text", "bytes"])
def test_write_replaces_whole(tmp_path: Path, content: bytes | str) -> None:
    """The new content replaces the old one and no draft stays."""
    path = tmp_path / "verdict.json"
    path.write_text("old")
    files.write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_write_failure_keeps_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file, no draft, and one line that names the file and the reason."""
    path = tmp_path / "verdict.json"
    path.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match=r"verdict\.json: .*No space left on device"):
        files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_without_folder(tmp_path: Path) -> None:
    """A folder that is not there is one line, not a traceback of the system."""
    with pytest.raises(EvidenceError, match="No such file"):
        files.write_atomic(tmp_path / "none" / "verdict.json", "x")


def test_a_written_file_has_the_rights_of_its_folder(tmp_path: Path) -> None:
    """Who may use the folder may read the file, nobody else, whatever the umask."""
    for umask in (0o000, 0o022, 0o077):
        old = os.umask(umask)
        try:
            for folder, expected in ((0o700, 0o600), (0o750, 0o640), (0o755, 0o644)):
                tmp_path.chmod(folder)
                files.write_atomic(tmp_path / "plan.json", "{}")
                assert (tmp_path / "plan.json").stat().st_mode & 0o777 == expected
        finally:
            os.umask(old)


def test_latest_moves_and_is_relative(tmp_path: Path) -> None:
    """`latest` follows the newest run, survives a move of the folder, and leaves no draft."""
    reports = tmp_path / "reports"
    for name in ("run-1", "run-2"):
        (reports / name).mkdir(parents=True)
        files.link_latest(reports, reports / name)
    moved = reports.rename(tmp_path / "moved")
    assert (moved / "latest").resolve() == moved / "run-2"
    assert sorted(path.name for path in moved.iterdir()) == ["latest", "run-1", "run-2"]


def test_latest_never_replaces_a_folder(tmp_path: Path) -> None:
    """A real folder called `latest` is somebody's data."""
    (tmp_path / "latest").mkdir()
    with pytest.raises(EvidenceError, match="latest: cannot be pointed at run-1"):
        files.link_latest(tmp_path, tmp_path / "run-1")
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]
