"""PDF of a week: fonts inside, text that can be found, numbers on its pages, the same bytes, nothing requested."""

from __future__ import annotations

import dataclasses
import http.server
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import EvidenceError
from opsverify.report.document import document_paper, in_one_language
from opsverify.report.draw import columns
from opsverify.report.model import Link, Text
from opsverify.report.pdf import LIBRARIES, drawn, pdf_of
from tests.support.period_runs import a_restless_week
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.report.document import Document

WEEK = "reports/periodic/t/weekly-2020-W40"
POPPLER = ("pdffonts", "pdftotext", "pdfinfo")


def _lacks() -> str | None:
    """What this machine has not that these tests need, with the way to it."""
    if missing := [name for name in POPPLER if shutil.which(name) is None]:
        return f"no {missing[0]} on this machine: apt-get install poppler-utils"
    try:
        drawn("<p>가</p>")
    except EvidenceError as error:
        return str(error)
    return None


LACKS = _lacks()
needs_pango = pytest.mark.skipif(LACKS is not None, reason=str(LACKS))


def _poppler(tool: str, content: bytes, path: Path) -> str:
    """What a tool of poppler prints of a PDF."""
    path.write_bytes(content)
    command = [tool, *(["-layout"] if tool == "pdftotext" else []), str(path), *(["-"] if tool == "pdftotext" else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _long(document: Document) -> Document:
    """The document with a table of many pages, and a chart with values."""
    chart = columns(Text("하루 비용", "cost a day"), [1.0, None, 3.0], [True, True, False], ["1", "", "3"])
    chapters = [
        dataclasses.replace(
            chapter, grids=tuple(dataclasses.replace(grid, rows=grid.rows * 12) for grid in chapter.grids),
            charts=(*chapter.charts, chart),
        )
        for chapter in document.chapters
    ]  # fmt: skip
    return dataclasses.replace(document, chapters=tuple(chapters))


@needs_pango
@pytest.mark.parametrize(
    ("language", "shown", "other"),
    [
        ("ko", ("주간 운영 보고", "확인 필요", "마지막 daily 판정", "예정 7회 중 1회 미수행: 11-18"), "LOOK CLOSER"),
        (
            "en",
            ("Weekly operations report", "LOOK CLOSER", "newest daily decided reject", "1 of 7 runs missed"),
            "확인",
        ),
    ],
)
def test_title_state_and_reasons_can_be_found(
    tmp_path: Path, language: str, shown: tuple[str, ...], other: str
) -> None:
    """In the report's language alone, each font embedded as a subset, with its text as Unicode."""
    made = pdf_of(a_restless_week(tmp_path, language))
    text = _poppler("pdftotext", made, tmp_path / "a.pdf")
    assert [one for one in shown if one not in text] == []
    assert other not in text
    fonts = [line.split()[-5:-2] for line in _poppler("pdffonts", made, tmp_path / "a.pdf").splitlines()[2:]]
    assert fonts
    assert all(columns == ["yes", "yes", "yes"] for columns in fonts), fonts


@needs_pango
def test_pages_have_numbers_and_tables_their_headings(tmp_path: Path) -> None:
    """On each page the report's name and its number of all; a table that goes on repeats its headings."""
    document = _long(a_restless_week(tmp_path, "ko"))
    made = pdf_of(document)
    pages = _poppler("pdftotext", made, tmp_path / "a.pdf").removesuffix("\f").split("\f")
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        footer = page.strip().splitlines()[-1]
        assert footer.startswith("t 2026-W47")
        assert footer.replace(" ", "").endswith(f"(UTC){number}/{len(pages)}")
    assert sum("점검" in page and "단계" in page for page in pages) > 2
    assert any("하루 비용" in page for page in pages)
    assert "A4" in _poppler("pdfinfo", made, tmp_path / "a.pdf")


@needs_pango
def test_the_same_document_makes_the_same_bytes(tmp_path: Path) -> None:
    """No time, no chance: two files that differ differ in what they say."""
    document = a_restless_week(tmp_path, "ko")
    assert pdf_of(document) == pdf_of(document)


@needs_pango
def test_nothing_is_requested(tmp_path: Path) -> None:
    """Neither over the network nor from the disk, whatever markup came into the page; and what is shown is the rest."""
    with _listening() as (url, requested):
        (tmp_path / "secret.txt").write_text("hunter2")
        for address in (url, (tmp_path / "secret.txt").as_uri()):
            made = drawn(
                f'<link rel="stylesheet" href="{address}"><link rel="attachment" href="{address}"><style>@import '
                f'"{address}"; @font-face {{ font-family: x; src: url({address}) }}</style>'
                f'<img src="{address}"><svg><image href="{address}"/></svg>'
                f'<p style="background: url({address}); font-family: x">rest</p>'
            )
            assert "rest" in _poppler("pdftotext", made, tmp_path / "a.pdf")
            assert b"/EmbeddedFile" not in made
    assert requested == []


def test_paper_has_one_language_and_no_links(tmp_path: Path) -> None:
    """The pages' own style sheet, without what is chosen and clicked."""
    html = document_paper(a_restless_week(tmp_path, "ko"))
    assert "LOOK CLOSER" not in html
    assert "<input" not in html
    assert 'lang="en"' not in html
    assert in_one_language((Link(Text("가", "a"), "x.html"), Text("나", "b")), "en") == (Text("a", "a"), Text("b", "b"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one target that never ran."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").write_text("", encoding="utf-8")
    (tmp_path / "targets" / "t.toml").write_text(SMALLEST, encoding="utf-8")
    return tmp_path


def _command(project: Path, *more: str) -> list[str]:
    return ["report", "weekly", "--target", str(project / "targets" / "t.toml"), "--period", "2020-W40", *more]


@needs_pango
@pytest.mark.parametrize(
    ("more", "written"),
    [
        (["--pdf", "--language=ko"], [f"{WEEK}.html", f"{WEEK}.pdf"]),
        (["--pdf", "--output", "OUT/a.html"], ["a.html", "a.pdf"]),
        (["--output", "OUT/a.pdf"], ["a.pdf"]),
        (["--pdf", "--output", "OUT/a.pdf", "--language=ko"], ["a.pdf"]),
    ],
)
def test_the_command_writes_it(
    project: Path, more: list[str], written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """After the page, or alone where the file's name says so; each path on a line of its own."""
    arguments = [one.replace("OUT", str(project)) for one in more]
    assert main(_command(project, *arguments)) == ExitCode.PASSED
    out = capsys.readouterr().out
    assert "PASS" not in out
    assert out.splitlines()[1:] == [str(project / name) for name in written]
    there = {*project.rglob("*.html"), *project.rglob("*.pdf")}
    assert there == {project / name for name in written}
    pdf = (project / written[-1]).read_bytes()
    assert pdf.startswith(b"%PDF")
    title = "주간 운영 보고" if "--language=ko" in more else "Weekly operations report"
    assert title in _poppler("pdftotext", pdf, project / "shown")
    assert not list(project.rglob("*.tmp"))


@needs_pango
def test_the_index_has_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the page of the same week."""
    monkeypatch.chdir(project)
    assert main(_command(project, "--pdf")) == ExitCode.PASSED
    assert main(["report", "index", "--output", str(project / "index.html")]) == ExitCode.PASSED
    for ending in ("html", "pdf"):
        assert f'href="periodic/t/weekly-2020-W40.{ending}"' in (project / "index.html").read_text("utf-8")


def test_pdf_belongs_to_weeks_and_months(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 4 for a run and for the index."""
    for what in ("latest", "index"):
        assert main(["report", what, "--pdf"]) == ExitCode.USAGE
        assert "--pdf: belongs to opsverify report weekly | monthly" in capsys.readouterr().err
    assert not (project / "reports").exists()


NO_PANGO = "cannot load library 'libpango-1.0-0'"
LACKING = {
    "the package": ("raise ImportError('no weasyprint')", "PDF: WeasyPrint 필요, opsverify[pdf] 설치"),
    "pango": (
        f"print('-----')\nraise OSError({NO_PANGO + ': no such file'!r})",
        f"PDF: WeasyPrint의 라이브러리 로드 실패({NO_PANGO}), apt-get install {LIBRARIES} fonts-nanum",
    ),
}
FONT_FOLDERS = {
    "dejavu": "PDF: 이 머신에 한글 글꼴 없음, apt-get install fonts-nanum",
    "nowhere": "PDF: 이 머신에 글꼴 없음, apt-get install fonts-nanum",
}
"""A folder of Debian's fonts, and what is said where there are no others."""


def _run(project: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "opsverify", *_command(project, "--pdf", "--language=ko")]
    environment = {**os.environ, **more}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=project, env=environment)


@pytest.mark.parametrize("what", LACKING)
def test_what_is_not_installed_is_said_in_a_line(project: Path, what: str) -> None:
    """With what to install; the page is there, the PDF is not, and the exit code is 10."""
    body, told = LACKING[what]
    (project / "lacking" / "weasyprint").mkdir(parents=True)
    (project / "lacking" / "weasyprint" / "__init__.py").write_text(body, encoding="utf-8")
    done = _run(project, PYTHONPATH=str(project / "lacking"))
    assert (done.returncode, done.stdout) == (ExitCode.HOLD, "")
    assert done.stderr == f"opsverify: {told}\n"
    assert [path.name for path in (project / "reports/periodic/t").iterdir()] == ["weekly-2020-W40.html"]


@needs_pango
@pytest.mark.parametrize("name", FONT_FOLDERS)
def test_a_machine_without_a_korean_font(project: Path, name: str) -> None:
    """No page of boxes, and no crash where there is no font at all."""
    folder = Path("/usr/share/fonts/truetype", name)
    if name == "dejavu" and not folder.is_dir():
        pytest.skip("no font without Hangul on this machine: apt-get install fonts-dejavu-core")
    (project / "fonts.conf").write_text(
        f'<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>{folder}</dir>'
        f"<cachedir>{project / 'cache'}</cachedir></fontconfig>"
    )
    done = _run(project, FONTCONFIG_FILE=str(project / "fonts.conf"))
    assert (done.returncode, done.stdout) == (ExitCode.HOLD, "")
    assert done.stderr == f"opsverify: {FONT_FOLDERS[name]}\n"
    assert not list(project.rglob("*.pdf"))


@contextmanager
def _listening() -> Iterator[tuple[str, list[str]]]:
    """A server, and the paths it was asked for."""
    requested: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x", requested
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
