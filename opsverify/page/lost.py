"""What a recovery lost, as the page shows it: tables with buckets, rows and window; then every other difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.page.model import UNKNOWN, Note, Row, Text, same
from opsverify.page.runs import DATA, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.page.runs import Run
    from opsverify.recovery.returned import Compared

HEADS: Final = (
    Text("테이블", "table"),
    Text("다른 구간", "buckets that differ"),
    Text("범위", "window"),
    Text("없어진 행", "rows missing"),
    Text("더해진 행", "rows added"),
    Text("바뀐 구간", "buckets changed"),
    Text("어느 행", "which rows"),
)
_BUCKETS: Final = "ledger.buckets["
_WINDOW: Final = "restore.rpo_witnesses"
_ABSENT: Final = "not_applicable"


def tables_of(run: Run) -> tuple[Row, ...]:
    """One row for each core table of which something is missing, added or changed."""
    return tuple(_row(one) for one in run.compared if one.differ)


def notes_of(run: Run, most: int = 5) -> tuple[Note, ...]:
    """The window, as the witnesses say, what else differs, and what was compared."""
    return (*_window(run), *_differences(run, most), *_compared(run))


def _row(one: Compared) -> Row:
    first, last = one.differ[0][0], one.differ[-1][0]
    keys = shortened(one.keys.removeprefix("keys ")) or ", ".join(name for name, _, _ in one.differ[:3])
    return Row(
        same(one.table),
        (
            f"{len(one.differ):,} / {one.buckets:,}", first if first == last else f"{first} - {last}",
            f"{one.missing:,}", f"{one.added:,}", f"{one.changed:,}", keys or UNKNOWN,
        ),
    )  # fmt: skip


def _window(run: Run) -> Iterator[Note]:
    for check in run.verdict["checks"]:
        if check["id"] == _WINDOW and check["outcome"] != _ABSENT:
            message = check["message"]
            window = message.partition("; ")[0] if "transactions lost" in message else shortened(message)
            yield Note(Text(f"구간: {window}", f"window: {window}"), _kind(check))


def _differences(run: Run, most: int) -> Iterator[Note]:
    """Red checks of the data by what they ask, so that one table's many dates and lines are one line."""
    families: dict[str, list[dict[str, str]]] = {}
    in_table = {one.table for one in run.compared if one.differ}
    for check in run.reds:
        of_table = check["id"].removeprefix(_BUCKETS).removesuffix("]")
        if check["id"].startswith(DATA) and of_table not in in_table:
            families.setdefault(check["id"].partition("[")[0], []).append(check)
    # What pages, keys and references say comes first: it says why the counts are wrong.
    ordered = sorted(families.values(), key=lambda checks: checks[0]["id"].startswith("sql."))
    for checks in ordered[:most]:
        more = len(checks) - 1
        said = f"{checks[0]['id']}: {shortened(checks[0]['message'])}"
        ko, en = (f" (외 {more}건)", f" (and {more} more)") if more else ("", "")
        yield Note(Text(said + ko, said + en), _kind(checks[0]))
    if len(ordered) > most:
        yield Note(Text(f"그 밖에 {len(ordered) - most}건", f"and {len(ordered) - most} more"))


def _compared(run: Run) -> Iterator[Note]:
    asked = [check for check in run.verdict["checks"] if check["id"].startswith(DATA) and check["outcome"] != _ABSENT]
    if not asked:
        return
    green = sum(check["outcome"] == "pass" for check in asked)
    tables = len(run.compared)
    buckets, rows = sum(one.buckets for one in run.compared), sum(one.rows for one in run.compared)
    yield Note(
        Text(
            f"비교: 테이블 {tables}개, 닫힌 구간 {buckets:,}개, 행 {rows:,}개; "
            f"데이터 점검 {len(asked)}건 중 {green}건 일치",
            f"compared: {tables} tables, {buckets:,} closed buckets, {rows:,} rows; "
            f"{green} of {len(asked)} checks of the data agree",
        )
    )


def _kind(check: dict[str, str]) -> str:
    return check["outcome"] if check["outcome"] in ("fail", "inconclusive") else ""
