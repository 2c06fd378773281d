"""One table in two regions: whether the rows of a span of time, and of a random sample, are the same in both.

Rows that were written after the span are left out on whichever side: traffic goes on while we look.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.switchback.table import CHUNKS, TimeSpan

if TYPE_CHECKING:
    from opsverify.switchback.table import Key, Side

FOREVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Apart:
    """What is not the same: keys of rows that `first` lacks, that `second` lacks, and that differ in content.

    `rows` is how many rows were compared: all keys of either side.
    """

    rows: int
    first_lacks: tuple[Key, ...]
    second_lacks: tuple[Key, ...]
    differ: tuple[Key, ...]

    @property
    def count(self) -> int:
        """Rows that are not the same."""
        return len(self.first_lacks) + len(self.second_lacks) + len(self.differ)

    def named(self, first: str, second: str, most: int = 2) -> list[str]:
        """One phrase for each way in which rows are apart, with the first keys."""
        kinds = {
            f"missing in {first}": self.first_lacks,
            f"missing in {second}": self.second_lacks,
            "with other content": self.differ,
        }
        shown = {
            what: [*("/".join(key) for key in keys[:most]), *(["..."] if len(keys) > most else [])]
            for what, keys in kinds.items()
        }
        return [f"{len(keys):,} {what} ({', '.join(shown[what])})" for what, keys in kinds.items() if keys]


def compare_span(first: Side, second: Side, span: TimeSpan) -> Apart:
    """Compare the rows last written within `span`, chunk by chunk; only rows of unequal chunks are fetched.

    Raises Inconclusive where the two sides cannot be compared.
    """
    _require_comparable(first, second)
    here, there = first.chunks(span), second.chunks(span)
    rows = sum(chunk.rows for chunk in here.values())
    bad = sorted(number for number in here.keys() | there.keys() if here.get(number) != there.get(number))
    if not bad:
        return Apart(rows, (), (), ())
    ours, theirs = first.rows_in(span, bad), second.rows_in(span, bad)
    suspects = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    return _looked_up(first, second, suspects, span.until, rows + len(theirs.keys() - ours.keys()))


def compare_sample(first: Side, second: Side, size: int, seed: int, span: TimeSpan) -> Apart:
    """Draw about `size` rows on either side, last written before `span`, and look them up on the other one.

    A row that one side lost is found by the other side's sample. Raises as `compare_span`.
    """
    _require_comparable(first, second)
    drawn = [side.sample(size, seed, span.since) for side in (first, second)]
    keys = drawn[0].keys() | drawn[1].keys()
    return _looked_up(first, second, keys, span.until, len(keys))


def strays(first: Side, second: Side, since: dt.datetime) -> Apart:
    """Rows that `second` has written from `since` on and that `first` lacks, or holds in an older version.

    For a `second` that should have been fenced by then. Raises as `compare_span`.
    """
    _require_comparable(first, second)
    theirs = second.rows_in(TimeSpan(since, FOREVER), range(CHUNKS))
    found = first.find(theirs, since)
    lacking = sorted(theirs.keys() - found.keys())
    older = sorted(key for key, ours in found.items() if ours.hash != theirs[key] and not ours.later)
    return Apart(len(theirs), tuple(lacking), (), tuple(older))


def _looked_up(first: Side, second: Side, keys: set[Key], until: dt.datetime, rows: int) -> Apart:
    """Look `keys` up once more on both sides: what has arrived meanwhile, or was written since, is not apart."""
    here, there = first.find(keys, until), second.find(keys, until)
    if gone := keys - here.keys() - there.keys():
        raise Inconclusive(
            f"{first.table}: {len(gone):,} rows just read are in neither database any more "
            f"({'/'.join(min(gone))}); is something deleting rows? Run the stage again"
        )
    lacks: tuple[list[Key], list[Key], list[Key]] = ([], [], [])
    for key in sorted(keys):
        ours, theirs = here.get(key), there.get(key)
        if (ours and ours.later) or (theirs and theirs.later):
            continue
        if ours is None:
            lacks[0].append(key)
        elif theirs is None:
            lacks[1].append(key)
        elif ours.hash != theirs.hash:
            lacks[2].append(key)
    return Apart(rows, *map(tuple, lacks))


def _require_comparable(first: Side, second: Side) -> None:
    if first.shape != second.shape:
        raise Inconclusive(
            f"{first.table}: columns differ between the two sides ({first.shape} and {second.shape}): "
            "bring both to the same migration"
        )
    if first.form != second.form:
        raise Inconclusive(
            f"settings differ between the two sides ({first.form} and {second.form}: DateStyle, IntervalStyle, "
            "extra_float_digits > 0, bytea_output, encoding): rows cannot be compared by their text"
        )
