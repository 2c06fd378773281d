"""A page of a rehearsal that was rejected, with every section, as long as real ones are."""

from __future__ import annotations

from opsverify.language.message import Message
from opsverify.report.model import Bar, Figure, Note, Page, PageRow, Point, Text, same

REASON = Text(
    "점검 sql.fact_daily_production: 복구한 데이터에 없는 행 4건, 기준 == 0",
    "sql.fact_daily_production: 4 rows are missing from the restored data, limit == 0",
)
LONG = "/var/lib/pgbackrest/archive/production/18-1/0000000200000041/0000000200000041000000A7-9f2c0bb1a4e8d7.zst"
STAGES = (("백업 복사", "backup copied"), ("목표 시점까지 재생", "replay to the target"), ("정리", "teardown"))


def rejected(language: str) -> Page:
    """The page in `ko` or `en`."""
    bars = tuple(
        Bar(Text(*names), 600.0 * index, 600.0, same("10m 00s · 119.2 MB/s"), marked=index == 2)
        for index, names in enumerate(STAGES)
    )
    losses = ("2026-11-20T00:00:00Z", Text("60 중 6 이상", "at least 6 of 60"), "0", "0", "2026-11-20 ~ 2026-11-21")
    return Page(
        title=Text("DR 복구 리허설", "Disaster recovery rehearsal"),
        target="production",
        name="20261128T131257Z-rehearsal-0fb7",
        decision="reject",
        language=language,
        when=Message.of("2026-11-28 13:12:57 UTC", "2026년 11월 28일 13:12:57 UTC"),
        figures=tuple(
            Figure(Text(name, name), "1h 12m", Text("목표 <= 4h", "objective <= 4h"), 0.3, holds=True)
            for name in ("RTO", "RPO", "GB/s")
        ),
        bars=bars,
        rto_s=1600.0,
        took_s=1200.0,
        rpo_sources=(PageRow(Text("하트비트", "heartbeat"), ("11-28 13:12:40.660", "11-28 13:12:42.664", "2 beats")),),
        facts=(PageRow(Text("WAL 아카이브", "WAL archive"), (LONG,)),),
        losses=(PageRow(same("public.judgment_executions"), losses),),
        lost=(Note(REASON, "fail"),),
        checks=(PageRow(Text("통과", "pass"), ("80",)), PageRow(Text("실패", "fail"), ("4",))),
        not_passed=(Note(same(LONG), "inconclusive"),),
        trend=tuple(Point(f"run {week}", 60.0 * week, 5.0, 1.0, passed=week != 11) for week in range(12)),
        actions=(Note(Text("data-oncall: 조치 후 다시 실행", "data-oncall: fix, then rerun")),),
        reasons=(Note(REASON, "fail"), Note(same(f"{LONG} cannot be read"), "inconclusive")),
    )
