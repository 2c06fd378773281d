"""A plain PostgreSQL with barman and a target of ten lines: accepted, and rejected where its backup is damaged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.managers import backed_up_file, copy_of, flip, make_lab, not_passed, rehearse_ten_lines

if TYPE_CHECKING:
    from pathlib import Path


def test_ten_lines_of_target_are_accepted_and_rejected(open_folder: Path, scratch: Path) -> None:
    """Every check passes or is declared not applicable; one damaged file of the backup fails its integrity."""
    if shutil.which("barman") is None:
        pytest.skip("barman is not installed: apt-get install barman")
    lab = make_lab(open_folder)
    stored = copy_of(lab, scratch)
    assert not_passed(rehearse_ten_lines(lab, "barman", stored)) == {"decision": "accept"}
    flip(backed_up_file(stored, "barman"))
    damaged = not_passed(rehearse_ten_lines(lab, "barman", stored))
    assert damaged["decision"] == "reject"
    assert "1255" in damaged["restore.integrity"]
