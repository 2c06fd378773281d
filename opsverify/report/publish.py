"""Pages on disk: in a rehearsal's folder, in an incident's, or by week and month."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from opsverify.config.load import find_target, load_target
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import find_run_folder
from opsverify.evidence.target_state import TargetState
from opsverify.incident.timeline import INCIDENTS, find
from opsverify.language.message import LANGUAGES, say
from opsverify.report import incident as incident_page
from opsverify.report import incident_report, index_page, period_page, rehearsal
from opsverify.report.document import document_html, document_markdown, redacted
from opsverify.report.html import render
from opsverify.report.pdf import pdf_of
from opsverify.report.period import last_full, named
from opsverify.report.runs import STAGE

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.report.document import Document
    from opsverify.report.incident_report import IncidentFacts

PAGE: Final = "recovery.html"
REPORTS: Final = "reports"
PDF: Final = ".pdf"


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


def publish_period(
    target_name: str, root: Path, kind: str, name: str | None = None, output: Path | None = None,
    language: str | None = None, *, pdf: bool = False,
) -> tuple[list[Path], Document]:  # fmt: skip
    """Write the page of a week or month; the files, and what they show. Raises TargetError, EvidenceError.

    The newest whole one where `name` is None. With `pdf` also as PDF after it; an `output` that ends with .pdf is that
    alone.
    """
    target, redactor = target_and_redactor(target_name, root)
    now = dt.datetime.now(dt.UTC)
    zone = target.report.zone
    period = last_full(kind, now, zone) if name is None else named(kind, name, now, zone)
    reports = root / REPORTS
    page = period_page.page_of(TargetState.of(reports, target.name), target, reports, period, now, language)
    page = redacted(page, redactor)
    path = output or reports / index_page.PERIODIC / target.name / f"{kind}-{period.name}.html"
    made = []
    if path.suffix != PDF:
        _write(path, document_html(page))
        made.append(path)
    if pdf or not made:
        _write(path.with_suffix(PDF), pdf_of(page))
        made.append(path.with_suffix(PDF))
    return made, page


def publish_index(root: Path, output: Path | None, language: str) -> tuple[Path, Document]:
    """Write the index of the project's reports folder; its path, and what it shows. Raises EvidenceError.

    Its links are relative to that folder, wherever `output` lies.
    """
    reports = root / REPORTS
    page = index_page.page_of(reports, dt.datetime.now(dt.UTC), language)
    path = output or reports / index_page.NAME
    _write(path, document_html(page))
    return path, page


def publish_incident_report(
    facts: IncidentFacts, redactor: Redactor, root: Path, output: Path | None = None, language: str | None = None
) -> list[Path]:
    """Write the draft of an incident's report: HTML in both languages, and Markdown in each.

    With `output` that file alone, by its suffix. Raises TargetError for another one, EvidenceError.
    """
    page = redacted(incident_report.report_of(facts, dt.datetime.now(dt.UTC), language), redactor)
    if output is not None:
        if output.suffix not in (".html", ".md"):
            raise TargetError(say("--out {path}: expected a file that ends with .md or .html", path=output))
        html = output.suffix == ".html"
        _write(output, document_html(page) if html else document_markdown(page, page.language))
        return [output]
    folder = facts.incident.folder if facts.incident else root / REPORTS / INCIDENTS / facts.name
    made = {"rca.html": document_html(page), **{f"rca.{name}.md": document_markdown(page, name) for name in LANGUAGES}}
    for name, text in made.items():
        _write(folder / name, text)
    return [folder / name for name in made]


def target_and_redactor(target_name: str, root: Path) -> tuple[Target, Redactor]:
    """The target, and what takes its secrets out of a text, where they are available: a disaster may have taken them.

    What was recorded holds none of those that were known then.
    """
    path = find_target(target_name, root / "targets")
    try:
        target, secrets = load_target(path)
    except TargetError:
        target, secrets = load_target(path, with_secrets=False)
    return target, Redactor(secrets.values)


def _write(path: Path, content: str | bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error}); free or unlock the folder", path=path, error=error.strerror)
        ) from error
    write_atomic(path, content)
