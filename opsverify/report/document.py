"""Document: a report as chapters of lists, tables and charts, in both languages, written as HTML or Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from opsverify.language.message import Message, in_language
from opsverify.language.plain import plain_line
from opsverify.report.model import Link, Note, Text
from opsverify.report.template import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.evidence.redact import Redactor
    from opsverify.report.draw import Columns

NOTHING: Final = Text("없음", "none")
_SPECIAL: Final = re.compile(r"[\\`*\[\]<>|&~$]|(?<!\w)_|_(?!\w)")
_OPENS: Final = re.compile(r"^(\d{1,9})([.)])|^([#+=-])")
"""What begins a heading, a list or an underline where it stands first in a line of Markdown."""
_MARKS: Final = {"fail": "❌ ", "inconclusive": "⚠️ "}


@dataclass(frozen=True)
class GridRow:
    """A row of a table; `kind` is its CSS class, as of a note."""

    cells: tuple[str | Text | Link, ...]
    kind: str = ""


@dataclass(frozen=True)
class Grid:
    """A table with its headings; without rows it reads `none`."""

    heads: tuple[Text, ...]
    rows: tuple[GridRow, ...]


@dataclass(frozen=True)
class Chapter:
    """One heading and what stands below it, in this order; an empty chapter reads `none`."""

    heading: Text
    notes: tuple[Note, ...] = ()
    grids: tuple[Grid, ...] = ()
    charts: tuple[Columns, ...] = ()


@dataclass(frozen=True)
class Document:
    """One report: `state` is its result in a word, `kind` the CSS class of that (`accept`, `hold`, `reject`).

    `whole` is false where a part could not be made.
    """

    title: Text
    name: str
    when: Text
    state: Text
    kind: str
    language: str
    chapters: tuple[Chapter, ...]
    whole: bool = True


def document_html(document: Document) -> str:
    """The document as one HTML page: complete in itself, both languages inside, no script, printable on A4."""
    return fill("document.html.j2", page=document, words={"nothing": NOTHING}, paper=False)


def document_paper(document: Document) -> str:
    """The document as HTML that is made into pages of paper: in its own language alone, with numbers on the pages."""
    printed = in_one_language(document, document.language)
    return fill(
        "document.html.j2", page=printed, words={"nothing": in_one_language(NOTHING, document.language)}, paper=True
    )


def document_markdown(document: Document, language: str) -> str:
    """The document as Markdown (CommonMark with tables) in `ko` or `en`: no text of it is markup."""
    return "\n".join(_lines(document, language)) + "\n"


def redacted(value: Any, redactor: Redactor) -> Any:  # noqa: ANN401 - a document, or any part of one
    """A document without secrets in its texts."""
    if isinstance(value, Text):
        return Text(redactor.text(value.ko), redactor.text(value.en))
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, tuple):
        return tuple(redacted(one, redactor) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: redacted(getattr(value, one.name), redactor) for one in fields(value)})
    return value


def in_one_language(value: Any, language: str) -> Any:  # noqa: ANN401 - as above
    """A document, or a part of it, in `ko` or `en` alone; a link is its text, since paper leads nowhere."""
    if isinstance(value, Link):
        return in_one_language(value.text, language)
    if isinstance(value, Text):
        shown = value.ko if language == "ko" else value.en
        return Text(shown, shown)
    if isinstance(value, Message):
        return in_language(value, language)
    if isinstance(value, tuple):
        return tuple(in_one_language(one, language) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{one.name: in_one_language(getattr(value, one.name), language) for one in fields(value)}
        )
    return value


def _lines(document: Document, language: str) -> Iterator[str]:
    yield f"# {_shown(document.title, language)}"
    yield ""
    state, name, when = (_shown(text, language) for text in (document.state, document.name, document.when))
    yield f"**{state}** · {name} · {when}"
    for chapter in document.chapters:
        yield from ("", f"## {_shown(chapter.heading, language)}", "")
        if not (chapter.notes or any(grid.rows for grid in chapter.grids)):
            yield _shown(NOTHING, language)
        for note in chapter.notes:
            yield f"- {_MARKS.get(note.kind, '')}{_first(_shown(note.text, language), marked=note.kind in _MARKS)}"
        for number, grid in enumerate(grid for grid in chapter.grids if grid.rows):
            if number or chapter.notes:
                yield ""
            yield _row(grid.heads, language)
            yield "|" + " --- |" * len(grid.heads)
            for row in grid.rows:
                yield _row(row.cells, language, _MARKS.get(row.kind, ""))


def _row(cells: tuple[str | Text | Link, ...], language: str, mark: str = "") -> str:
    return "| " + mark + " | ".join(_shown(cell, language) or " " for cell in cells) + " |"


def _shown(text: str | Text | Link, language: str) -> str:
    """A text in one language and one line, with nothing in it that Markdown acts on."""
    if isinstance(text, Link):
        return f"[{_shown(text.text, language)}](<{quote(text.href)}>)"
    shown = text[0 if language == "ko" else 1] if isinstance(text, Text) else text
    return _SPECIAL.sub(r"\\\g<0>", plain_line(in_language(shown, language)).strip())


def _first(text: str, *, marked: bool) -> str:
    return (
        text if marked else _OPENS.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", text)
    )


def cell(text: str) -> str | Text:
    """A message as a cell has it: in both languages, where it differs."""
    return Text(text.ko, text.en) if isinstance(text, Message) else text
