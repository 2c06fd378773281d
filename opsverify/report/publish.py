"""Pages on disk: in a rehearsal's folder, or in an incident's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.config.load import find_target, load_target
from opsverify.errors import EvidenceError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.run_folder import find_run_folder
from opsverify.incident.timeline import find
from opsverify.language.message import say
from opsverify.report import incident as incident_page
from opsverify.report import rehearsal
from opsverify.report.html import render
from opsverify.report.runs import STAGE

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = "recovery.html"
REPORTS: Final = "reports"


def publish_rehearsal(run: str | Path, root: Path, language: str | None = None) -> Path:
    """Write the page of the rehearsal `run` (id, folder, or latest) into its folder; its path. Raises EvidenceError."""
    folder = find_run_folder(None if str(run) == "latest" else str(run), root)
    page = rehearsal.page_of(folder, language)
    if f"-{STAGE}-" not in page.name:
        raise EvidenceError(say("{run}: not a rehearsal; build its report with opsverify report {run}", run=page.name))
    write_atomic(folder / PAGE, render(page))
    return folder / PAGE


def publish_incident(target_name: str, root: Path, incident: str | None, language: str | None = None) -> Path:
    """Write the page of an incident into its folder; its path. Raises Refused, TargetError, EvidenceError."""
    target, _ = load_target(find_target(target_name, root / "targets"), with_secrets=False)
    reports = root / REPORTS
    found = find(reports, target.name, incident)
    path = found.folder / PAGE
    write_atomic(path, render(incident_page.page_of(found, target, reports, language)))
    return path
