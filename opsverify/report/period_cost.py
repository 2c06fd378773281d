"""Cost on the page of a week or a month: what the LLM cost a day, as the daily checks measured it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opsverify.report.dates import minute
from opsverify.report.document import Chapter, Grid, GridRow, cell
from opsverify.report.draw import columns
from opsverify.report.model import UNKNOWN, Text
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.report.period_review import PeriodReview
    from opsverify.report.period_runs import PeriodRun

CHECK: Final = "daily.llm_cost"
_SHOWN: Final = 31
_HEADS: Final = (
    Text("시각 (UTC)", "time (UTC)"), Text("하루 비용", "a day"), Text("기준", "limit"),
    Text("지난주 같은 요일 대비", "same weekday before"),
)  # fmt: skip


def cost_chapter(review: PeriodReview, heading: Text) -> Chapter:
    """The newest runs of `daily` up to the period's end: a chart of the cost, and the period's runs as a table."""
    found = [(run, check) for run in review.known for check in run.checks if check["id"] == CHECK][-_SHOWN:]
    if not found:
        return Chapter(heading)
    usd = [_usd(check) for _, check in found]
    well = [check["outcome"] == "pass" for _, check in found]
    shown = [UNKNOWN if value is None else quantity(value, "usd") for value in usd]
    chart = columns(Text("LLM 비용, 하루", "LLM cost, a day"), usd, well, shown)
    rows = tuple(_row(run, check) for run, check in reversed(found) if run.begun in review.period)
    return Chapter(heading, (), (Grid(_HEADS, rows),), (chart,))


def _row(run: PeriodRun, check: Mapping[str, Any]) -> GridRow:
    usd = _usd(check)
    weekday = next((one for one in check["measurements"][1:] if one["unit"] == "times"), None)
    return GridRow(
        (
            cell(minute(run.begun.isoformat())),
            Text("측정 불가", "not measured") if usd is None else quantity(usd, "usd"),
            str(check["limit"] or UNKNOWN),
            UNKNOWN if weekday is None else quantity(weekday["measured"], "times"),
        ),
        check["outcome"] if check["outcome"] in ("fail", "inconclusive") else "",
    )


def _usd(check: Mapping[str, Any]) -> float | None:
    value = check["measured"]
    return float(value) if isinstance(value, int | float) else None
