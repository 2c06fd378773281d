"""Document of a report: no text of it is markup in Markdown, and no secret is in any of its forms."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opsverify.evidence.redact import Redactor
from opsverify.report.document import (
    Chapter,
    Document,
    Grid,
    GridRow,
    document_html,
    document_markdown,
    redacted,
)
from opsverify.report.model import Note, same


def document(text: str) -> Document:
    """A document with a text in a note, at its beginning, and in a table."""
    notes = (Note(same(f"x {text}")), Note(same(text), "fail"))
    grid = Grid((same("h"), same("i")), (GridRow((f"x{text}", "y")),))
    return Document(same("T"), "n", same("w"), same("s"), "hold", "en", (Chapter(same("C"), notes, (grid,)),))


HOSTILE = st.text(st.sampled_from("ab _*`[]()<>|\\#-+=~!&1.\n가"), max_size=24).map(str.strip)


@settings(max_examples=80)
@given(HOSTILE)
def test_no_text_is_markup_in_markdown(text: str) -> None:
    """As a note, as a title and in a table: a CommonMark reader shows what was recorded, in one line."""
    shown = " ".join(text.split())
    tokens = MarkdownIt("commonmark").enable("table").parse(document_markdown(document(text), "en"))
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", "h2"]
    inline = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
    assert [" ".join(one.split()) for one in inline[3:]] == [
        " ".join(one.split()) for one in (f"x {shown}", f"❌ {shown}", "h", "i", f"x{text}", "y")
    ]
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "strong_open", "strong_close", "text_special"}


def test_secrets_are_in_no_output() -> None:
    """Whatever a person typed: HTML and Markdown of both languages hold the mask."""
    page = redacted(document("password hunter2hunter2 leaked"), Redactor(["hunter2hunter2"]))
    for text in (document_html(page), document_markdown(page, "ko"), document_markdown(page, "en")):
        assert "hunter2" not in text
        assert text.count("[redacted]") + text.count("\\[redacted\\]") >= 2
