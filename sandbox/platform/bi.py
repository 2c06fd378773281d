"""BI figures over the fact table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.platform.rules import LINE_CODE, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.platform.faults import Faults
    from sandbox.platform.store import Store

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_QUANTITIES = ("planned_qty", "produced_qty", "defect_qty")


@dataclass(frozen=True, slots=True)
class Period:
    """Dates from `first` to `last`, both included, of one line or of all."""

    first: date
    last: date
    line_code: str | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Period:
        """Read `from`, `to` and `line_code`; raises InvalidInputError."""
        first, last = _date("from", query.get("from")), _date("to", query.get("to"))
        if first > last:
            raise InvalidInputError(f"from {first} is after to {last}")
        line_code = query.get("line_code")
        if line_code is not None and not LINE_CODE.fullmatch(line_code):
            raise InvalidInputError(f"line_code is {line_code!r}, expected L followed by two digits")
        return cls(first, last, line_code)


def _date(name: str, text: str | None) -> date:
    try:
        return date.fromisoformat(text if text and _DATE.fullmatch(text) else "")
    except ValueError:
        raise InvalidInputError(f"{name} is {text!r}, expected YYYY-MM-DD") from None


def production_yield(produced: int, defect: int) -> float | None:
    """The share of good pieces, 0..1 with 4 digits; None where nothing was produced."""
    return round((produced - defect) / produced, 4) if produced else None


async def production(store: Store, faults: Faults, period: Period) -> dict[str, Any]:
    """Rows per date and line, and totals; raises StoreUnavailableError."""
    rows = await store.rows(
        "SELECT date, line_code, planned_qty, produced_qty, defect_qty FROM bi_daily_production"
        " WHERE date BETWEEN %s AND %s AND (%s::text IS NULL OR line_code = %s) ORDER BY date, line_code",
        (period.first, period.last, period.line_code, period.line_code),
    )
    judged = await store.rows(
        "SELECT count(*) AS judgments, count(*) FILTER (WHERE result = 'ALARM') AS alarms"
        " FROM judgment_executions WHERE created_at >= %s AND created_at < %s"
        " AND (%s::text IS NULL OR line_code = %s) AND (synthetic_tag IS NULL OR %s)",
        (
            period.first, period.last + timedelta(days=1), period.line_code, period.line_code,
            faults.on("synthetic_leak"),
        ),
    )  # fmt: skip
    figures = [
        {
            "date": row["date"].isoformat(),
            "line_code": row["line_code"],
            **{name: int(row[name]) for name in _QUANTITIES},
        }
        for row in rows
    ]
    if figures and faults.on("bi_wrong"):
        first_line = figures[0]["line_code"]
        for figure in figures:
            figure["produced_qty"] += figure["line_code"] == first_line
    for figure in figures:
        figure["yield"] = production_yield(figure["produced_qty"], figure["defect_qty"])
    totals: dict[str, Any] = {name: sum(figure[name] for figure in figures) for name in _QUANTITIES}
    totals["yield"] = production_yield(totals["produced_qty"], totals["defect_qty"])
    return {"rows": figures, "totals": totals | dict(judged[0])}
