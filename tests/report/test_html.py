"""HTML of a page: every value is text, both languages are there, drawings keep to their scale."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from opsverify.report.draw import columns, share_bar, timeline
from opsverify.report.html import render
from opsverify.report.model import Bar, Figure, Note, Page, PageRow, Point, Text, same
from opsverify.report.template import fill

HOSTILE = """<script>alert("x")</script>'&<img src=//x>"""
HOSTILE_TEXT = Text(f"가 {HOSTILE}", f"a {HOSTILE}")
ROWS = (PageRow(HOSTILE_TEXT, (HOSTILE, HOSTILE_TEXT)),)
BARS = (
    Bar(HOSTILE_TEXT, 0.0, 600.0, HOSTILE_TEXT),
    Bar(Text("재생", "replay"), 600.0, 3000.0, same("50m"), marked=True),
)
PAGE = Page(
    title=HOSTILE_TEXT,
    target=HOSTILE,
    name=HOSTILE,
    decision="reject",
    language="en",
    when=HOSTILE,
    figures=(Figure(HOSTILE_TEXT, HOSTILE, HOSTILE_TEXT, 1.5, holds=False),),
    bars=BARS,
    rto_s=7200.0,
    took_s=3600.0,
    rpo_sources=ROWS,
    facts=ROWS,
    losses=ROWS,
    lost=(Note(HOSTILE_TEXT, "fail"),),
    checks=ROWS,
    not_passed=(Note(same(HOSTILE), "inconclusive"),),
    trend=(Point("one", 60.0, None, 1.0, passed=True), Point("two", 120.0, 5.0, None, passed=False)),
    actions=(Note(HOSTILE_TEXT),),
    switchback=BARS,
    switchback_facts=ROWS,
    reasons=(Note(HOSTILE_TEXT, "fail"),),
)
"""A page with every section, and markup in every text."""


class _Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element's name, and with it its language."""
        self.tags.append(f"{tag} {dict(attrs).get('lang') or ''}".strip())

    def handle_data(self, data: str) -> None:
        """Keep the text as a browser shows it."""
        self.text += data


def _parsed(html: str) -> _Elements:
    parser = _Elements()
    parser.feed(html)
    parser.close()
    return parser


def test_no_value_of_a_page_is_markup() -> None:
    """Whatever a message, a name or a table holds is shown as it is, and is never an element."""
    found = _parsed(render(PAGE))
    assert not {"script", "img"} & set(found.tags)
    assert found.text.count(HOSTILE) > 40


def test_both_languages_are_on_the_page_and_one_is_chosen() -> None:
    """As many Korean texts as English ones; the target's language is the one that is shown first."""
    found = _parsed(render(PAGE))
    for element in ("span", "text"):
        assert found.tags.count(f"{element} ko") == found.tags.count(f"{element} en") > 0
    for language in ("ko", "en"):
        html = render(replace(PAGE, language=language))
        assert re.findall(r'id="(\w+)" checked=""', html) == [language]


def test_empty_sections_are_left_out() -> None:
    """A run that got nowhere has no empty drawing and no empty table; its lists read `none`."""
    empty: dict[str, Any] = dict.fromkeys(
        ("bars", "rpo_sources", "losses", "lost", "trend", "actions", "switchback", "not_passed", "reasons"), ()
    )
    html = render(replace(PAGE, took_s=None, **empty))
    assert html.count("<section>") == 4
    assert html.count("없음") == 2
    assert 'class="timeline"' not in html


def test_a_name_that_is_missing_in_a_template_is_an_error() -> None:
    """A page is never written with a gap where a value should be."""
    with pytest.raises(UndefinedError, match="reasons"):
        fill("summary.html.j2", colour="#000", word="hold", code="", facts=())


def test_bars_share_one_scale_up_to_the_rto() -> None:
    """A bar's width is its share of the RTO; the RTO's line is left out where all bars would be too thin to see."""
    drawing = timeline(BARS, 7200.0)
    assert [row.left for row in drawing.rows] == pytest.approx([0, 100 * 600 / 7200])
    assert [row.width for row in drawing.rows] == pytest.approx([100 * 600 / 7200, 100 * 3000 / 7200])
    assert (drawing.limit, drawing.limit_left) == ("RTO 2h", 100)
    assert timeline(BARS, 7200.0 * 100).limit_left is None
    assert timeline(BARS).limit_left is None


@pytest.mark.parametrize(
    ("share", "width", "over"), [(0.0, 1.0, False), (0.4, 40.0, False), (1.0, 100.0, False), (2.5, 100.0, True)]
)
def test_a_share_is_drawn_up_to_the_whole(share: float, width: float, *, over: bool) -> None:
    """More than all of a limit is a full bar in another colour."""
    drawing = share_bar(share)
    assert drawing.width == pytest.approx(width)
    assert drawing.over is over


def test_columns_show_the_last_twelve() -> None:
    """Older rehearsals are left out; one that did not measure has no height."""
    values = [None, *map(float, range(1, 14))]
    drawing = columns(same("RTO"), values, [True] * 14, [str(value) for value in values])
    assert len(drawing.columns) == 12
    assert drawing.newest == "13.0"
    assert columns(same("RTO"), [None], [False], ["-"]).columns[0].height is None
