"""`opsverify evidence`: verify that a run's evidence is complete, unaltered and signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.config.project import project_root
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import pages_in
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.evidence.signature import verify_run
from opsverify.evidence.target_state import altered_since
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="run id or folder (default: newest)")
    parser.add_argument("--public-key", metavar="FILE", help="ed25519 key (PEM); without it only sums count")


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print what is wrong with the evidence; 0 when nothing is, else 10: no decision may rest on it.

    Raises EvidenceError when run or key cannot be read.
    """
    folder = find_run_folder(options.run_folder, project_root())
    try:
        key = Path(options.public_key).read_text(encoding="utf-8") if options.public_key else None
    except OSError as error:
        raise EvidenceError(
            say(
                "public key {public_key}: cannot be read ({error})", public_key=options.public_key, error=error.strerror
            )
        ) from error
    found = verify_run(folder, key)
    try:
        altered = altered_since(project_root() / "reports", folder, found.verdict or b"")
    except OSError as error:
        raise EvidenceError(f"{error.filename}: cannot be read ({error.strerror})") from error
    problems = [str(problem) for problem in found.problems] + ([f"{VERDICT}: {altered}"] if altered else [])
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    signed = f"signed by key {found.signed_by}" if found.signed_by else "verdict not covered by a verified signature"
    if key is None:
        signed += ": no --public-key" if found.signature_present else ": the run is not signed"
    sys.stdout.write(f"{folder.name}: {'NOT what was sealed' if problems else 'complete and unaltered'}; {signed}\n")
    if pages := pages_in(folder):
        sys.stdout.write(
            say(
                "not covered by the manifest: {pages}; may have been altered, make anew with opsverify report\n",
                pages=", ".join(pages),
            )
        )
    unchecked = found.signature_present and found.signed_by is None
    return ExitCode.PASSED if not (problems or unchecked) else ExitCode.HOLD
