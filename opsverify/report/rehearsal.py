"""Page of a rehearsal, from its run's folder and those of the rehearsals before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.recovery.drill.parts import NotReached, or_none
from opsverify.recovery.drill.timing import STAGE_TEXTS
from opsverify.report.dates import clock, date_time
from opsverify.report.lost import losses_of, lost_of
from opsverify.report.model import UNKNOWN, Bar, Figure, Page, PageRow, Text, same
from opsverify.report.parts import limit_of, objective, restore_sources, rpo_sources_of
from opsverify.report.runs import actions_of, checks_of, not_passed_of, read_run, reasons_on_page, rehearsals
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.recovery.drill.parts import PlatformPart
    from opsverify.recovery.drill.result import Drill
    from opsverify.report.runs import RehearsalRun

_OUTSIDE_RTO: Final = ("catalog", "random table", "examine", "checksums", "teardown")


def page_of(folder: Path, language: str | None) -> Page:
    """The page of the run in `folder`. Raises EvidenceError when it is not a finished run."""
    run = read_run(folder)
    verdict, drill = run.verdict, run.drill
    rto = limit_of(run, "restore.rto")
    trend = rehearsals(folder.resolve().parent, verdict["target"], verdict["run_id"])
    return Page(
        title=Text("DR 복구 리허설", "Disaster recovery rehearsal"),
        target=verdict["target"],
        name=verdict["run_id"],
        decision=verdict["decision"],
        language=language or verdict.get("language", "ko"),
        when=date_time(verdict["started_at"]),
        reasons=reasons_on_page(run),
        figures=tuple(_figures(run)),
        bars=tuple(_bars(drill)) if drill else (),
        rto_s=rto.bound if rto else None,
        took_s=drill.took_s if drill else None,
        rpo_sources=rpo_sources_of(run),
        facts=tuple(_facts(drill)) if drill else (),
        losses=losses_of(run),
        lost=lost_of(run),
        checks=checks_of(run),
        not_passed=not_passed_of(run),
        trend=tuple(one.point for one in trend),
        actions=actions_of(run),
    )


def _figures(run: RehearsalRun) -> Iterator[Figure]:
    drill = run.drill
    took = drill.took_s if drill else None
    yield objective(_reached(drill), took, limit_of(run, "restore.rto"))
    loss, rpo = run.loss_s, limit_of(run, "restore.rpo_witnesses") or limit_of(run, "restore.rpo")
    yield objective(Text("RPO (손실 구간)", "RPO (data lost)"), loss, rpo)
    speed = run.gb_per_s
    more = drill.extrapolated if drill else None
    limit = None
    if more is not None:
        size, low, high = quantity(more.size, "bytes"), elapsed(more.low_s), elapsed(more.high_s)
        limit = Text(f"{size}이면 {low} ~ {high}", f"{size} would take {low} to {high}")
    yield Figure(
        Text("복사 속도", "copy"), UNKNOWN if speed is None else f"{quantity(speed, 'count')} GB/s", limit, None, None
    )


def _smoke(platform: PlatformPart) -> str:
    smoke = platform.smoke
    if smoke is None:
        return platform.blocked or UNKNOWN
    failed = len(smoke.reasons)
    return say(
        "{executed} checks on the restored database, {failed} not passed: smoke/ ({run})",
        executed=smoke.executed,
        failed=failed,
        run=smoke.run_id,
    )


def _reached(drill: Drill | None) -> Text:
    if drill is None or drill.to_serving_s is None:
        return Text("RTO (검증까지)", "RTO (to validated data)")
    return Text("RTO (업무 스모크까지)", "RTO (to business smoke)")


def _bars(drill: Drill) -> Iterator[Bar]:
    for stage in drill.stages:
        name = stage.name
        parts: list[str] = [elapsed(stage.seconds)]
        if stage.segments_per_s and name == "recover":
            parts.append(say("{rate} segments/s", rate=quantity(stage.segments_per_s, "count")))
        elif stage.bytes_per_s:
            parts.append(f"{quantity(stage.bytes_per_s, 'bytes')}/s")
        value = join(" · ", parts)
        label = same(STAGE_TEXTS.get(name, name))
        yield Bar(label, stage.began_s, stage.seconds, same(value), marked=name in _OUTSIDE_RTO)


def _facts(drill: Drill) -> Iterator[PageRow]:
    yield from restore_sources(drill)
    yield PageRow(Text("복구 목표", "recovery target"), (clock(drill.parts.target_time) + " UTC",))
    server = or_none(drill.parts.restore)
    recovered = (
        say("{at} UTC, timeline {timeline}", at=clock(server.recovered_to), timeline=server.timeline)
        if server and server.timeline
        else UNKNOWN
    )
    yield PageRow(Text("복구된 시점", "recovered to"), (drill.ended.reason if drill.ended else recovered,))
    table = drill.parts.table
    if not isinstance(table, NotReached):
        differing = len(table.differences) + len(table.ledger_differences)
        yield PageRow(
            Text("임의 테이블", "random table"),
            (
                say(
                    "{table}, {rows:,} rows, seed {seed}: {differing} differences",
                    table=table.table,
                    rows=table.rows,
                    seed=table.seed,
                    differing=differing,
                ),
            ),
        )
    elif reason := drill.table_problem:
        yield PageRow(Text("임의 테이블", "random table"), (reason,))
    if platform := or_none(drill.parts.platform):
        yield PageRow(Text("업무 스모크", "business smoke"), (_smoke(platform),))
    if drill.extrapolated:
        yield PageRow(Text("외삽 근거", "extrapolated from"), (drill.extrapolated.rests_on,))
