"""A page as HTML: complete in itself, both languages inside, no script, printable on A4."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Final

from opsverify.report.draw import columns, share_bar, timeline
from opsverify.report.model import UNKNOWN, Text
from opsverify.units import duration, elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.report.model import Figure, Note, Page, PageRow

_WORDS: Final = {
    "accept": Text("승인", "ACCEPT"),
    "reject": Text("거부", "REJECT"),
    "hold": Text("보류", "HOLD"),
    "open": Text("진행 중", "OPEN"),
    "closed": Text("종료", "CLOSED"),
}
_NOTHING: Final = Text("없음", "none")
_LOST: Final = (
    Text("테이블", "table"),
    Text("구간", "bucket"),
    Text("없어진 행", "rows missing"),
    Text("바뀐 행", "changed"),
    Text("늘어난 행", "added"),
    Text("기간", "window"),
)


def render(page: Page) -> str:
    """The page as one HTML document."""
    korean = ' checked=""' if page.language == "ko" else ""
    english = "" if korean else ' checked=""'
    sections = "".join(_sections(page))
    return f"""<!DOCTYPE html>
<html lang="{page.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(page.title.ko)} · {escape(page.name)}</title>
<style>{_style()}</style>
</head>
<body>
<input type="radio" name="language" id="ko"{korean}><label for="ko">한국어</label>
<input type="radio" name="language" id="en"{english}><label for="en">English</label>
<main>
<header>
<p class="decision {page.decision}">{_both(_WORDS[page.decision])}</p>
<h1>{_both(page.title)}</h1>
<p class="name">{escape(page.target)} · {escape(page.when)} · {escape(page.name)}</p>
</header>
{sections}</main>
</body>
</html>
"""


def _sections(page: Page) -> Iterable[str]:
    yield f'<div class="figures">{"".join(map(_figure, page.figures))}</div>\n'
    if page.bars:
        took = f"{elapsed(page.took_s)} / {duration(page.rto_s)}" if page.took_s is not None else ""
        heading = Text(f"타임라인 {took}", f"Timeline {took}")
        yield _section(heading, timeline(page.bars, page.rto_s))
    if page.witnesses:
        heads = (
            Text("증인", "witness"),
            Text("복구된 마지막 커밋", "last commit back"),
            Text("재해 전 마지막 커밋", "last before the disaster"),
            Text("손실", "lost"),
        )
        yield _section(Text("RPO 증인", "RPO witnesses"), _table(page.witnesses, heads))
    yield _section(Text("무엇을 어디에서 복구했나", "What was restored, from what"), _table(page.facts))
    if page.way_back:
        yield _section(
            Text("스위치백 (정상 복귀)", "The way back"), timeline(page.way_back) + _table(page.way_back_facts)
        )
    yield _section(
        Text("손실", "What was lost"), (_table(page.losses, _LOST) if page.losses else "") + _list(page.lost)
    )
    yield _section(Text("점검", "Checks"), _counts(page.checks) + (_list(page.reds) if page.reds else ""))
    if page.trend:
        yield _section(
            Text(f"추이 (최근 {len(page.trend)}회)", f"Trend (last {len(page.trend)} rehearsals)"), _trend(page)
        )
    yield _section(Text("남은 조치", "Open actions"), _list(page.actions))


def _trend(page: Page) -> str:
    passed = [point.passed for point in page.trend]
    charts: Sequence[tuple[Text, list[float | None], str]] = (
        (Text("RTO", "RTO"), [point.rto_s for point in page.trend], "s"),
        (Text("RPO", "RPO"), [point.rpo_s for point in page.trend], "s"),
        (Text("복사 GB/s", "copy GB/s"), [point.gb_per_s for point in page.trend], ""),
    )
    drawn = (
        columns(label, values, passed, [UNKNOWN if value is None else _shown(value, unit) for value in values])
        for label, values, unit in charts
    )
    return f'<div class="charts">{"".join(drawn)}</div>'


def _shown(value: float, unit: str) -> str:
    return elapsed(value) if unit == "s" else quantity(value, "count")


def _figure(figure: Figure) -> str:
    limit = f'<p class="limit">{_both(figure.limit)}</p>' if figure.limit else ""
    share = share_bar(figure.share) if figure.share is not None else ""
    kind = {True: "well", False: "over", None: "unknown"}[figure.holds]
    return (
        f'<div class="figure {kind}"><p class="label">{_both(figure.label)}</p>'
        f'<p class="value">{escape(figure.value)}</p>{limit}{share}</div>'
    )


def _section(heading: Text, body: str) -> str:
    return f"<section><h2>{_both(heading)}</h2>\n{body}</section>\n"


def _table(rows: Sequence[PageRow], heads: Sequence[Text] = ()) -> str:
    head = f"<tr>{''.join(f'<th>{_both(text)}</th>' for text in heads)}</tr>" if heads else ""
    body = "".join(
        f"<tr><th>{_both(row.heading)}</th>{''.join(_cell(row, index) for index in range(len(row.cells)))}</tr>"
        for row in rows
    )
    return f"<table>{head}{body}</table>"


def _counts(rows: Sequence[PageRow]) -> str:
    said = "".join(f"<span>{_both(row.heading)} <b>{_said(row.cells[0])}</b></span>" for row in rows)
    return f'<p class="counts">{said}</p>'


def _cell(row: PageRow, index: int) -> str:
    return f"<td>{_said(row.cells[index])}</td>"


def _said(cell: str | Text) -> str:
    return _both(cell) if isinstance(cell, Text) else escape(cell)


def _list(notes: Sequence[Note]) -> str:
    if not notes:
        return f'<p class="none">{_both(_NOTHING)}</p>'
    return "<ul>" + "".join(f'<li class="{note.kind}">{_both(note.text)}</li>' for note in notes) + "</ul>"


def _both(text: Text) -> str:
    if text.ko == text.en:
        return escape(text.ko)
    return "".join(
        f'<span class="{language}" lang="{language}">{escape(said)}</span>'
        for language, said in zip(("ko", "en"), text, strict=True)
    )


def _style() -> str:
    return resources.files("opsverify.report").joinpath("page.css").read_text(encoding="utf-8")
