"""`opsverify report` and `opsverify evidence`: one run's HTML, and whether its evidence still is what was sealed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from opsverify.errors import EvidenceError
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.evidence.signature import verify_run
from opsverify.report.allure_report import build_report


def publish_report(run: str | None, root: Path, language: str | None) -> Path:
    """Build the report of `run` (an id, a folder, or the newest) and return its path. Raises EvidenceError."""
    folder = find_run_folder(run, root)
    if not (folder / VERDICT).is_file():
        raise EvidenceError(f"{folder}: no {VERDICT} there; name a run's id or folder, or run opsverify verify first")
    spoken = language or json.loads((folder / VERDICT).read_text(encoding="utf-8")).get("language", "ko")
    return build_report(folder, spoken, _tell)


def verify_evidence(run: str | None, public_key: str | None, root: Path) -> int:
    """Print what is wrong with a run's evidence; 0 when nothing is, else 10: no decision may rest on it.

    `public_key` names a PEM file. Raises EvidenceError when run or key cannot be read.
    """
    folder = find_run_folder(run, root)
    try:
        key = Path(public_key).read_text(encoding="utf-8") if public_key else None
    except OSError as error:
        raise EvidenceError(f"public key {public_key}: cannot be read ({error.strerror})") from error
    found = verify_run(folder, key)
    for problem in found.problems:
        sys.stdout.write(f"{problem}\n")
    signed = f"signed by key {found.signed_by}" if found.signed_by else "signature not checked: no --public-key"
    sys.stdout.write(f"{folder.name}: {'complete and unaltered' if found.ok else 'NOT what was sealed'}; {signed}\n")
    return 0 if found.ok else 10


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
