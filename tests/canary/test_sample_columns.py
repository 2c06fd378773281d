"""Columns of samples are the mapping that they stand for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.sample_columns import SampleColumns, rows_of

SERIES = st.dictionaries(
    st.text(max_size=4), st.dictionaries(st.floats(0, 1e10), st.floats(allow_nan=False), min_size=1, max_size=3)
)
IN_ORDER = SERIES.map(lambda found: {key: dict(sorted(points.items())) for key, points in found.items()})


@given(SERIES)
def test_columns_are_their_mapping(series: dict[str, dict[float, float]]) -> None:
    """Keys, items, single series and the newest samples are those of a dict of dicts, in its order."""
    columns = SampleColumns()
    for key, points in series.items():
        columns.add(key, points.items())
    assert columns == series
    assert [(key, list(points.items())) for key, points in columns.items()] == [
        (key, list(points.items())) for key, points in series.items()
    ]
    assert {key: columns[key] for key in columns} == series
    assert columns.keys() - set(series) == set()
    assert dict(columns.newest()) == {key: next(reversed(points)) for key, points in series.items()}


def test_a_series_is_found_after_another_was_added() -> None:
    """Looking a series up does not freeze the columns."""
    columns = SampleColumns()
    columns.add("a", [(1.0, 2.0)])
    assert columns["a"] == {1.0: 2.0}
    columns.add("b", [(1.0, 3.0), (2.0, 4.0)])
    assert columns["b"] == {1.0: 3.0, 2.0: 4.0}
    assert "c" not in columns


@given(IN_ORDER)
def test_rows_of_columns_and_of_a_mapping_are_the_same(series: dict[str, dict[float, float]]) -> None:
    """What is counted does not depend on how the samples came."""
    columns = SampleColumns()
    columns.add_new(((key, tuple(points.items())) for key, points in series.items()), {})
    rows = [[(key, list(times), list(values)) for key, times, values in rows_of(one)] for one in (columns, series)]
    assert rows[0] == rows[1]
    assert columns.all_finite() == all(
        map(math.isfinite, (one for points in series.values() for one in points.values()))
    )


@given(IN_ORDER, st.floats(0, 1e10))
def test_only_samples_after_those_that_were_seen_are_new(series: dict[str, dict[float, float]], until: float) -> None:
    """A series without a new one is left out; one that was not seen before is whole."""
    columns = SampleColumns()
    seen = dict.fromkeys(list(series)[1:], until)
    columns.add_new(((key, tuple(points.items())) for key, points in series.items()), seen)
    newer = {
        key: {at: value for at, value in points.items() if at > seen.get(key, -math.inf)}
        for key, points in series.items()
    }
    assert columns == {key: points for key, points in newer.items() if points}
