"""Data loss on a page: tables, buckets, rows and keys from the run's answers, the rest from its checks."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import say, unpair
from opsverify.recovery.verify.questions import BUCKETS, COVERAGE
from opsverify.report.model import NOT_KNOWN, UNKNOWN, Note, PageRow, Text, same
from opsverify.report.runs import DATA, NOT_PASSED, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opsverify.recovery.verify.finding import Finding
    from opsverify.recovery.verify.loss import Keys, Loss
    from opsverify.report.runs import RehearsalRun

_BUCKETS: Final = 6
"""Buckets of one table, at most; the others are summed up in one line."""
_NOTES: Final = 5
_PAGES: Final = "pages"
_LEDGER: Final = "ledger.buckets["
_ABSENT: Final = "not_applicable"


def losses_of(run: RehearsalRun) -> tuple[PageRow, ...]:
    """Return a row for each bucket or page range that differs: rows missing, changed and added, and its time."""
    rows: list[PageRow] = []
    for name, finding in _answers(run).items():
        for table, losses in groupby(finding.losses, key=lambda loss: loss.table):
            rows += _table(table, list(losses), finding.keys if name.startswith(BUCKETS) else None)
    return tuple(rows)


def lost_of(run: RehearsalRun) -> tuple[Note, ...]:
    """Return the notes: window of the RPO sources, keys, failed data checks that are not in the table, and extent.

    The extent is what was compared: a page without loss states for how many tables, buckets and rows that holds.
    """
    answers = _answers(run)
    notes = [*_window(run), *_span(answers), *_keys(answers), *_differences(run, answers)]
    return (*notes, *_compared(run, answers))


def _answers(run: RehearsalRun) -> Mapping[str, Finding]:
    """Return the answers on buckets and pages."""
    return {name: found for name, found in run.answers.items() if name.startswith(BUCKETS) or name == _PAGES}


def _table(table: str, losses: Sequence[Loss], keys: Keys | None) -> Iterator[PageRow]:
    shown = losses if len(losses) == _BUCKETS + 1 else losses[:_BUCKETS]
    for loss in shown:
        where: str | Text = loss.where
        if loss.kind == "pages":
            where = Text(f"페이지 {loss.where}", f"page{'' if loss.where.isdigit() else 's'} {loss.where}")
        yield PageRow(same(table), (where, *_rows(loss), _when([loss])))
    if rest := losses[len(shown) :]:
        more = Text(f"그 밖에 {len(rest):,}개", f"and {len(rest):,} more")
        yield PageRow(same(table), (more, _sum(rest), NOT_KNOWN, NOT_KNOWN, _when(rest)))
    if keys:
        counts = [f"{len(kind):,}" for kind in (keys.missing, keys.changed, keys.added)]
        yield PageRow(same(table), (Text("합계 (키 기준)", "total, by key"), *counts, _when(losses)))


def _rows(loss: Loss) -> tuple[str | Text, str | Text, str | Text]:
    """Return what is missing, changed and added of a loss, as far as two counts and unequal hashes allow."""
    before, after = loss.recorded, loss.found
    if loss.kind == "pages":
        return _missing_on_pages(before, after), UNKNOWN, UNKNOWN
    if before is None or after is None:
        return NOT_KNOWN, NOT_KNOWN, NOT_KNOWN
    if 0 in (before, after):  # all rows missing, or none recorded: the counts are exact
        return f"{before:,}", "0", f"{after:,}"
    if before == after:
        return NOT_KNOWN, Text(f"{before:,} 중 일부", f"some of {before:,}"), NOT_KNOWN
    # The difference of two counts is a lower bound: further rows may be missing, and as many added.
    least = abs(after - before)
    if after < before:
        return Text(f"{before:,} 중 {least:,} 이상", f"at least {least:,} of {before:,}"), NOT_KNOWN, NOT_KNOWN
    return NOT_KNOWN, NOT_KNOWN, Text(f"{before:,}에 {least:,} 이상", f"at least {least:,} to {before:,}")


def _missing_on_pages(before: int | None, after: int | None) -> Text:
    if before is None or after is None:
        return NOT_KNOWN
    if after == 0:
        return Text(f"기록된 {before:,}", f"{before:,} recorded")
    return Text(f"{before - after:,} 이상", f"at least {before - after:,}")


def _sum(losses: Iterable[Loss]) -> Text:
    missing = sum(
        max(0, loss.recorded - loss.found) for loss in losses if loss.recorded is not None and loss.found is not None
    )
    return Text(f"{missing:,} 이상", f"at least {missing:,}")


def _when(losses: Iterable[Loss]) -> str | Text:
    """Return the time from the earliest to the latest bucket; ISO 8601 sorts as text."""
    timed = [(loss.since, loss.until) for loss in losses if loss.since and loss.until]
    return f"{min(since for since, _ in timed)} ~ {max(until for _, until in timed)}" if timed else NOT_KNOWN


def _span(answers: Mapping[str, Finding]) -> Iterator[Note]:
    buckets = [loss for finding in answers.values() for loss in finding.losses if loss.kind == "bucket"]
    if buckets:
        when = _when(buckets)
        ko, en = when if isinstance(when, Text) else (when, when)
        yield Note(Text(f"차이가 있는 기간: {ko}", f"buckets that differ: {en}"), "fail")


def _keys(answers: Mapping[str, Finding]) -> Iterator[Note]:
    for name, finding in answers.items():
        if finding.keys:
            said = say("keys of {table}: {keys}", table=name.removeprefix(BUCKETS), keys=finding.keys)
            yield Note(same(said), "fail")


def _differences(run: RehearsalRun, answers: Mapping[str, Finding]) -> Iterator[Note]:
    """Yield the messages of failed data checks, except of buckets in the table; one line for each family of checks."""
    shown = {f"{_LEDGER}{name.removeprefix(BUCKETS)}]" for name, finding in answers.items() if finding.losses}
    families: dict[str, list[Mapping[str, str]]] = {}
    for check in run.not_passed:
        if check["id"].startswith(DATA) and check["id"] not in shown:
            families.setdefault(check["id"].partition("[")[0], []).append(check)
    # Pages, keys and references first: they explain why the counts are wrong.
    ordered = sorted(families.values(), key=lambda checks: checks[0]["id"].startswith("sql."))
    causes: dict[str, list[Mapping[str, Any]]] = {}
    for checks in ordered:  # one cause once: a restore that did not happen fails every family
        causes.setdefault(run.cause_of(checks[0]), []).extend(checks)
    ordered = list(causes.values())
    for checks in ordered[:_NOTES]:
        message = unpair(dict(checks[0]), "message").each(shortened)
        more = len(checks) - 1
        ko, en = (f" (외 {more}건)", f" (and {more} more)") if more else ("", "")
        first = checks[0]["id"]
        yield Note(Text(f"{first}: {message.ko}{ko}", f"{first}: {message.en}{en}"), checks[0]["outcome"])
    if (left := len(ordered) - _NOTES) > 0:
        yield Note(Text(f"그 밖에 {left}건", f"and {left} more"))


def _window(run: RehearsalRun) -> Iterator[Note]:
    for check in run.verdict["checks"]:
        if check["id"] == "restore.rpo_witnesses" and check["outcome"] != _ABSENT:
            message = unpair(check, "message")
            first = "transactions lost" in message
            window = message.each(lambda text: text.partition("; ")[0]) if first else message.each(shortened)
            kind = check["outcome"] if check["outcome"] in NOT_PASSED else ""
            yield Note(Text(f"구간: {window.ko}", f"window: {window.en}"), kind)


def _compared(run: RehearsalRun, answers: Mapping[str, Finding]) -> Iterator[Note]:
    buckets = [finding for name, finding in answers.items() if name.startswith(BUCKETS) and finding.buckets]
    tables, count, rows = len(buckets), sum(one.buckets for one in buckets), sum(one.asked for one in buckets)
    differ = sum(len(one.losses) for one in buckets)
    if not buckets:
        yield Note(
            Text(
                "원장과 비교한 버킷 없음: 행 손실은 알 수 없음",
                "no bucket compared with the ledger: lost rows not known",
            ),
            "inconclusive",
        )
    elif differ:
        yield Note(
            Text(
                f"비교: 테이블 {tables}개, 버킷 {count:,}개, {rows:,}행 중 버킷 {differ:,}개가 다름",
                f"compared: {tables} tables, {count:,} buckets, {rows:,} rows; {differ:,} buckets differ",
            )
        )
    else:
        yield Note(
            Text(
                f"없어지거나 바뀐 행 없음: 테이블 {tables}개, 버킷 {count:,}개, {rows:,}행 비교",
                f"no row missing, changed or added: {tables} tables, {count:,} buckets, {rows:,} rows compared",
            )
        )
    if covered := run.answers.get(COVERAGE):
        extent = covered.unknown or covered.of
        yield Note(same(say("coverage: {extent}", extent=extent)), "inconclusive" if covered.unknown else "")
    checks = [check for check in run.verdict["checks"] if check["id"].startswith(DATA) and check["outcome"] != _ABSENT]
    if checks:
        green = sum(check["outcome"] == "pass" for check in checks)
        yield Note(Text(f"데이터 점검 {len(checks)}건 중 {green}건 통과", f"{green} of {len(checks)} data checks pass"))
