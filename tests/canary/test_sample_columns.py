"""Columns of samples are the mapping that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsverify.canary.sample_columns import SampleColumns

SERIES = st.dictionaries(
    st.text(max_size=4), st.dictionaries(st.floats(0, 1e10), st.floats(allow_nan=False), min_size=1, max_size=3)
)


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
