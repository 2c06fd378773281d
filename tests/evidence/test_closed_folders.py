"""Folders of a run that cannot be listed: what is in them is neither left out nor unsearched without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import verify_manifest, write_manifest
from opsverify.evidence.redact import Redactor
from tests.support.closed_folders import close

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with one within, which holds a file that a manifest has not."""
    (tmp_path / "extra").mkdir()
    write_manifest(tmp_path)
    (tmp_path / "extra" / "a.txt").write_text("token=planted-secret", encoding="utf-8")
    return tmp_path


def test_an_auditor_is_told_what_could_not_be_looked_at(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An additional file is a problem of the run; one that nobody can see is none that is absent."""
    assert [str(each) for each in verify_manifest(run)] == ["extra/a.txt: additional: not in the manifest"]
    close(run / "extra", monkeypatch)
    assert [str(each) for each in verify_manifest(run)] == [
        "manifest.sha256: folder extra cannot be read (Permission denied); nothing can be verified"
    ]


def test_no_run_is_sealed_over_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could hold evidence, and a secret: the run has no verdict then."""
    close(run / "extra", monkeypatch)
    with pytest.raises(EvidenceError, match="folder extra cannot be read"):
        write_manifest(run)
    with pytest.raises(PermissionError):
        Redactor(["planted-secret"]).sweep(run)
