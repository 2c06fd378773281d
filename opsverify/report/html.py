"""Page as HTML: complete in itself, both languages inside, no script, printable on A4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.report.draw import share_bar, timeline
from opsverify.report.model import Text
from opsverify.report.template import fill
from opsverify.report.trend import trend_charts
from opsverify.units import duration, elapsed

if TYPE_CHECKING:
    from opsverify.report.model import Figure, Page

_DECISIONS: Final = {
    "accept": Text("승인", "ACCEPT"),
    "reject": Text("거부", "REJECT"),
    "hold": Text("보류", "HOLD"),
    "open": Text("진행 중", "OPEN"),
    "closed": Text("종료", "CLOSED"),
}
_WORDS: Final = {
    "nothing": Text("없음", "none"),
    "rpo_sources": Text("RPO 출처", "RPO sources"),
    "rpo_heads": (
        Text("출처", "source"),
        Text("복구된 마지막 커밋", "last commit restored"),
        Text("재해 전 마지막 커밋", "last commit before the disaster"),
        Text("손실", "lost"),
    ),
    "facts": Text("복구 내역", "Restore details"),
    "switchback": Text("스위치백 (정상 복귀)", "Switchback"),
    "lost": Text("손실", "Data loss"),
    "lost_heads": (
        Text("테이블", "table"),
        Text("구간", "bucket"),
        Text("없어진 행", "rows missing"),
        Text("바뀐 행", "changed"),
        Text("늘어난 행", "added"),
        Text("기간", "window"),
    ),
    "reasons": Text("사유", "Reasons"),
    "failed": Text("실패", "failed"),
    "not_measured": Text("측정 불가", "not measured"),
    "in_rto": Text("RTO에 포함", "counts for the RTO"),
    "outside_rto": Text("RTO 밖 또는 예외", "outside the RTO, or by exception"),
    "limit": Text("한도", "limit"),
    "accepted": Text("승인", "accepted"),
    "not_accepted": Text("승인되지 않음", "not accepted"),
    "checks": Text("점검", "Checks"),
    "actions": Text("남은 조치", "Open actions"),
}
_KINDS: Final = {True: "well", False: "over", None: "unknown"}


def render(page: Page) -> str:
    """The page as one HTML document."""
    took = f"{elapsed(page.took_s)} / {duration(page.rto_s)}" if page.took_s is not None and page.rto_s else ""
    count = len(page.trend)
    words = {
        **_WORDS,
        "decision": _DECISIONS[page.decision],
        "timeline": Text(f"타임라인 {took}", f"Timeline {took}"),
        "trend": Text(f"추이 (최근 {count}회)", f"Trend (last {count} rehearsals)"),
    }
    return fill(
        "page.html.j2",
        page=page,
        words=words,
        figures=[_figure(figure) for figure in page.figures],
        timeline=timeline(page.bars, page.rto_s),
        switchback=timeline(page.switchback),
        charts=list(trend_charts(page.trend)),
    )


def _figure(figure: Figure) -> dict[str, object]:
    return {
        "label": figure.label,
        "value": figure.value,
        "limit": figure.limit,
        "share": None if figure.share is None else share_bar(figure.share),
        "kind": _KINDS[figure.holds],
    }
