"""Folders that cannot be listed, also by root, whom no mode of a folder stops."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no walk of this process list `folder` until the end of the test."""
    scan = os.scandir

    def refuse(path: Any = ".") -> Any:  # noqa: ANN401 - as os.scandir
        if os.fspath(path) == str(folder):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
