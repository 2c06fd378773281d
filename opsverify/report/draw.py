"""The page's drawings, as light SVG: bars against the RTO, and columns of the last rehearsals. No script, no font."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from opsverify.report.model import UNKNOWN, Text
from opsverify.units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.report.model import Bar

WIDTH: Final = 700
_ROW: Final = 16
_LEFT, _RIGHT = 150, 165
_COLUMN: Final = 218
_CHART: Final = 64
_SHOWN: Final = 12
_MARKED_FROM: Final = 0.05
"""The RTO's line is drawn among the bars once they use so much of it; below, they would all be a hair's breadth."""


def timeline(bars: Sequence[Bar], rto_s: float | None = None) -> str:
    """Bars from left to right in their order, on a common scale; the RTO as a line where it is within reach."""
    end = max((bar.begins_s + bar.seconds for bar in bars), default=0.0)
    limit_s = rto_s if rto_s is not None and end >= rto_s * _MARKED_FROM else None
    scale = max(end, limit_s or 0.0) or 1.0
    room = WIDTH - _LEFT - _RIGHT
    height = _ROW * len(bars) + (4 if limit_s is None else 18)
    parts = []
    for index, bar in enumerate(bars):
        y = index * _ROW
        x = _LEFT + room * bar.begins_s / scale
        width = max(1.5, room * bar.seconds / scale)
        kind = "bar mark" if bar.marked else "bar"
        parts.append(_text(0, y + 12, bar.label))
        parts.append(f'<rect class="back" x="{_LEFT}" y="{y + 2}" width="{room}" height="{_ROW - 4}"/>')
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}"/>')
        parts.append(_text(WIDTH - _RIGHT + 8, y + 12, bar.said, "value"))
    if limit_s is not None:
        x = _LEFT + room * limit_s / scale
        parts.append(f'<line class="limit" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height - 14}"/>')
        said = f"RTO {duration(limit_s)}"
        parts.append(f'<text class="limit" x="{x:.1f}" y="{height - 3}" text-anchor="end">{said}</text>')
    return _svg(WIDTH, height, parts)


def share_bar(share: float) -> str:
    """How much of a limit is used up; more than all of it is drawn as all, in the colour of a failure."""
    width = max(1.0, 100 * min(share, 1.0))
    kind = "bar" if share <= 1 else "bar over"
    parts = [
        '<rect class="back" x="0" y="0" width="100" height="6"/>',
        f'<rect class="{kind}" x="0" y="0" width="{width:.1f}" height="6"/>',
    ]
    return f'<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none">{"".join(parts)}</svg>'


def columns(label: Text, values: Sequence[float | None], passed: Sequence[bool], shown: Sequence[str]) -> str:
    """The last rehearsals' values as columns, oldest first, the newest with its figure; a dash for none."""
    values, passed, shown = values[-_SHOWN:], passed[-_SHOWN:], shown[-_SHOWN:]
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (_COLUMN - 8) / max(len(values), 6)
    parts = [_text(0, 11, label)]
    for index, (value, well) in enumerate(zip(values, passed, strict=True)):
        x = index * step
        if value is None:
            parts.append(
                f'<text class="none" x="{x + step / 2:.1f}" y="{_CHART + 16}" text-anchor="middle">{UNKNOWN}</text>'
            )
            continue
        height = max(1.0, (_CHART - 14) * value / highest)
        kind = "bar" if well else "bar over"
        top = _CHART + 18 - height
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}"/>')
    if shown:
        parts.append(f'<text class="value" x="{_COLUMN - 8}" y="11" text-anchor="end">{escape(shown[-1])}</text>')
    parts.append(f'<line class="axis" x1="0" y1="{_CHART + 18}" x2="{_COLUMN - 8}" y2="{_CHART + 18}"/>')
    return _svg(_COLUMN, _CHART + 20, parts, "chart")


def _svg(width: float, height: float, parts: Sequence[str], kind: str = "") -> str:
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _text(x: float, y: float, text: Text, kind: str = "") -> str:
    return "".join(
        f'<text class="{language} {kind}" lang="{language}" x="{x:.1f}" y="{y:.1f}">{escape(said)}</text>'
        for language, said in zip(("ko", "en"), text, strict=True)
    )
