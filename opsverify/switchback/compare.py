"""Comparison of one table in two regions: rows of a span of time, and of a random sample.

Rows that were written after the span are left out in both copies: traffic continues during the comparison.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.switchback.table import CHUNKS, TimeSpan

if TYPE_CHECKING:
    from opsverify.switchback.table import Key, TableCopy

FOREVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
NO_MARGIN: Final = dt.timedelta(0)


@dataclass(frozen=True)
class TableDifference:
    """Keys of rows that are missing in the first copy, missing in the second, or different in content.

    `rows` is the number of rows compared: all keys of either copy.
    """

    rows: int
    missing_in_first: tuple[Key, ...]
    missing_in_second: tuple[Key, ...]
    different: tuple[Key, ...]

    @property
    def count(self) -> int:
        """Rows that are missing or different."""
        return len(self.missing_in_first) + len(self.missing_in_second) + len(self.different)

    def named(self, first: str, second: str, most: int = 2) -> list[str]:
        """One phrase for each kind of difference, with the first keys."""
        kinds = {
            say("missing in {region}", region=first): self.missing_in_first,
            say("missing in {region}", region=second): self.missing_in_second,
            say("with other content"): self.different,
        }
        shown = {
            what: [*("/".join(key) for key in keys[:most]), *(["..."] if len(keys) > most else [])]
            for what, keys in kinds.items()
        }
        return [
            say("{count:,} {what} ({keys})", count=len(keys), what=what, keys=", ".join(shown[what]))
            for what, keys in kinds.items()
            if keys
        ]


def compare_span(
    first: TableCopy, second: TableCopy, span: TimeSpan, margin: dt.timedelta = NO_MARGIN
) -> TableDifference:
    """Compare the rows last written within `span`, chunk by chunk; only rows of unequal chunks are fetched.

    The clocks of both sides differ by `margin`: so much more is compared at both ends, and a row that `first` wrote
    within it of the end may be one that it wrote after the switch. Raises Inconclusive where the two copies cannot be
    compared.
    """
    _require_comparable(first, second)
    ends = span.until - margin, span.until + margin
    span = TimeSpan(span.since - margin, ends[1])
    first_chunks, second_chunks = first.chunks(span), second.chunks(span)
    rows = sum(chunk.rows for chunk in first_chunks.values())
    bad = sorted(
        number
        for number in first_chunks.keys() | second_chunks.keys()
        if first_chunks.get(number) != second_chunks.get(number)
    )
    if not bad:
        return TableDifference(rows, (), (), ())
    in_first, in_second = first.rows_in(span, bad), second.rows_in(span, bad)
    suspects = {key for key in in_first.keys() | in_second.keys() if in_first.get(key) != in_second.get(key)}
    return _checked_again(first, second, suspects, ends, rows + len(in_second.keys() - in_first.keys()))


def compare_sample(
    first: TableCopy, second: TableCopy, size: int, seed: int, span: TimeSpan, margin: dt.timedelta = NO_MARGIN
) -> TableDifference:
    """Draw about `size` rows of either copy, last written before `span`, and find them in the other one.

    A row missing in one copy is found by the sample of the other. Raises as `compare_span`.
    """
    _require_comparable(first, second)
    drawn = [copy.sample(size, seed, span.since - margin) for copy in (first, second)]
    keys = drawn[0].keys() | drawn[1].keys()
    return _checked_again(first, second, keys, (span.until - margin, span.until + margin), len(keys))


def late_writes(first: TableCopy, second: TableCopy, since: dt.datetime) -> TableDifference:
    """Rows written in `second` from `since` on that are missing in `first`, or older there.

    For a `second` that should have been fenced by then. Raises as `compare_span`.
    """
    _require_comparable(first, second)
    written = second.rows_in(TimeSpan(since, FOREVER), range(CHUNKS))
    found = first.find(written, since)
    missing = sorted(written.keys() - found.keys())
    older = sorted(key for key, row in found.items() if row.hash != written[key] and not row.later)
    return TableDifference(len(written), tuple(missing), (), tuple(older))


def _checked_again(
    first: TableCopy, second: TableCopy, keys: set[Key], ends: tuple[dt.datetime, dt.datetime], rows: int
) -> TableDifference:
    """Find `keys` again in both copies: rows that have arrived meanwhile, or were written since, are no difference.

    `ends` are when the span ended by the clock of each.
    """
    in_first, in_second = first.find(keys, ends[0]), second.find(keys, ends[1])
    if gone := keys - in_first.keys() - in_second.keys():
        raise Inconclusive(
            say(
                "{table}: {count:,} rows just read are no longer in either database ({names}); stop what "
                "deletes rows, then rerun the stage",
                table=first.table,
                count=len(gone),
                names="/".join(min(gone)),
            )
        )
    missing_in_first: list[Key] = []
    missing_in_second: list[Key] = []
    different: list[Key] = []
    for key in sorted(keys):
        one, other = in_first.get(key), in_second.get(key)
        if (one and one.later) or (other and other.later):
            continue
        if one is None:
            missing_in_first.append(key)
        elif other is None:
            missing_in_second.append(key)
        elif one.hash != other.hash:
            different.append(key)
    return TableDifference(rows, tuple(missing_in_first), tuple(missing_in_second), tuple(different))


def _require_comparable(first: TableCopy, second: TableCopy) -> None:
    if first.shape != second.shape:
        raise Inconclusive(
            say(
                "{table}: columns differ between the two databases ({shape} and {other}): bring both "
                "to the same migration",
                table=first.table,
                shape=first.shape,
                other=second.shape,
            )
        )
    if first.form != second.form:
        raise Inconclusive(
            say(
                "settings differ between the two databases ({form} and {other}: DateStyle, "
                "IntervalStyle, extra_float_digits > 0, bytea_output, encoding): rows cannot be compared "
                "by their text",
                form=first.form,
                other=second.form,
            )
        )
