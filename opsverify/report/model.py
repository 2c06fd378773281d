"""Values of a page, without HTML: every text in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from opsverify.language.message import in_language

UNKNOWN: Final = "-"
"""The text of a value that was not measured."""


class Text(NamedTuple):
    """One text in Korean and in English."""

    ko: str
    en: str


@dataclass(frozen=True)
class Link:
    """A text that leads to a file beside the page: `href` is relative to it."""

    text: Text
    href: str


NOT_KNOWN: Final = Text("알 수 없음", "not known")
"""The text of a value that the evidence does not contain."""


def same(text: str) -> Text:
    """A message in its two languages; any other text, an id or a figure, is the same in both."""
    return Text(in_language(text, "ko"), in_language(text, "en"))


@dataclass(frozen=True)
class Bar:
    """One bar of the timeline, in seconds from its beginning; `value` is the text after it, `marked` is drawn paler."""

    label: Text
    begins_s: float
    seconds: float
    value: Text
    marked: bool = False


@dataclass(frozen=True)
class Figure:
    """One headline figure with its limit; `share` is the used part of the limit (None: no limit)."""

    label: Text
    value: str
    limit: Text | None
    share: float | None
    holds: bool | None


@dataclass(frozen=True)
class Point:
    """One rehearsal of the trend; None where it did not measure."""

    name: str
    rto_s: float | None
    rpo_s: float | None
    gb_per_s: float | None
    passed: bool


@dataclass(frozen=True)
class PageRow:
    """One row of a table: its heading, and its cells, in both languages where they are words."""

    heading: Text
    cells: tuple[str | Text, ...]


@dataclass(frozen=True)
class Note:
    """A line of a list: lost data, a check that did not pass, an open action; `kind` is its CSS class."""

    text: Text
    kind: str = ""


@dataclass(frozen=True)
class Page:
    """One page.

    `decision` is a verdict's, or `open` or `closed` of an incident; `switchback` has its own time scale.
    """

    title: Text
    target: str
    name: str
    decision: str
    language: str
    when: str
    figures: tuple[Figure, ...]
    bars: tuple[Bar, ...]
    rto_s: float | None
    took_s: float | None
    rpo_sources: tuple[PageRow, ...]
    facts: tuple[PageRow, ...]
    losses: tuple[PageRow, ...]
    lost: tuple[Note, ...]
    checks: tuple[PageRow, ...]
    not_passed: tuple[Note, ...]
    trend: tuple[Point, ...]
    actions: tuple[Note, ...]
    switchback: tuple[Bar, ...] = ()
    switchback_facts: tuple[PageRow, ...] = ()
    reasons: tuple[Note, ...] = ()
