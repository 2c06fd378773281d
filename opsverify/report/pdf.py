"""PDF of a report: pages of paper by WeasyPrint (extra `pdf`), with its fonts inside; nothing is requested for it.

WeasyPrint draws with the system's pango and the system's fonts. Where these have no Hangul there is no PDF, since it
would be made of boxes. The same document makes the same bytes on the same machine.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.language.message import say
from opsverify.report.document import document_paper
from opsverify.report.fonts import has_font

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.report.document import Document

EXTRA: Final = "pdf"
LIBRARIES: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""Debian's packages that WeasyPrint loads."""
FONTS: Final = "fonts-nanum"
_HANGUL: Final = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


def pdf_of(document: Document) -> bytes:
    """The document as PDF in its own language. Raises EvidenceError where WeasyPrint, pango or a font is missing."""
    return drawn(document_paper(document))


def drawn(html: str) -> bytes:
    """A page as PDF: what it names beside itself is not loaded. Raises EvidenceError as above."""
    page, fetcher = _weasyprint()
    if not has_font():
        raise EvidenceError(say("PDF: no font on this machine; apt-get install {fonts}", fonts=FONTS))
    if _HANGUL.search(html) and not has_font("ko"):
        raise EvidenceError(say("PDF: no Korean font on this machine; apt-get install {fonts}", fonts=FONTS))
    return bytes(page(string=html, url_fetcher=fetcher(allowed_protocols=("data",))).write_pdf(pdf_tags=True))


def _weasyprint() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """WeasyPrint's page, and its fetcher of what a page names."""
    # Importing it prints to the terminal where a library or every font is missing; our errors say so in one line.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from weasyprint import HTML  # noqa: PLC0415 - an extra, and 0.4 s
            from weasyprint.urls import URLFetcher  # noqa: PLC0415 - as above
        except ImportError as error:
            raise EvidenceError(say("PDF: needs WeasyPrint; install opsverify[{extra}]", extra=EXTRA)) from error
        except OSError as error:
            raise EvidenceError(
                say(
                    "PDF: WeasyPrint cannot load a library ({error}); apt-get install {packages}",
                    error=str(error).partition(":")[0],
                    packages=f"{LIBRARIES} {FONTS}",
                )
            ) from error
    # It names each rule of the style sheet that is for browsers only, and each load that was refused.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    return HTML, URLFetcher
