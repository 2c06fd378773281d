"""`opsverify report`: the HTML of one run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from opsverify.errors import EvidenceError
from opsverify.evidence.report import build_report
from opsverify.evidence.run import VERDICT


def publish_report(run: str | None, root: Path, language: str | None) -> Path:
    """Build the report of `run` (an id, a folder, or the newest) and return its path. Raises EvidenceError."""
    folder = run_folder(run, root)
    if not (folder / VERDICT).is_file():
        raise EvidenceError(f"{folder}: no {VERDICT} there; name a run's id or folder, or run opsverify verify first")
    spoken = language or json.loads((folder / VERDICT).read_text(encoding="utf-8")).get("language", "ko")
    return build_report(folder, spoken, _tell)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def run_folder(run: str | None, root: Path) -> Path:
    """The folder of `run`: a folder, an id below `reports`, or None for the newest."""
    if run is None:
        return (root / "reports" / "latest").resolve()
    given = Path(run)
    return given if given.is_dir() else root / "reports" / run
