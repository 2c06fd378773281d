"""Removal of synthetic rows from a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.cleanup import remove_synthetic
from tests.probes.probe_servers import PASSWORD, free_port

if TYPE_CHECKING:
    from tests.probes.probe_servers import Cluster, Recorder

TABLES = ("children", "numbers")


def _plant(cluster: Cluster, tag: str) -> None:
    with cluster.superuser() as connection:
        connection.execute("INSERT INTO numbers VALUES (901, 'a', %s), (902, 'b', %s)", (tag, tag))
        connection.execute("INSERT INTO children VALUES (901, %s)", (tag,))


def _left(cluster: Cluster) -> tuple[int, int]:
    with cluster.superuser() as connection:
        row = connection.execute("SELECT (SELECT count(*) FROM numbers), (SELECT count(*) FROM children)").fetchone()
    assert row is not None
    return row[0], row[1]


def test_exactly_the_tagged_rows_go(cluster: Cluster, recorder: Recorder) -> None:
    """Rows of the tag go from all tables, in order; rows of others and real rows stay."""
    tag = "smoke'; DROP TABLE numbers; --"
    _plant(cluster, tag)
    removed = remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", tag, recorder)
    assert dict(removed.rows) == {"children": 1, "numbers": 2}
    assert removed.total == 3
    assert _left(cluster) == (600, 0)
    assert "children" in recorder.text
    again = remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", tag)
    assert again.total == 0


@pytest.mark.parametrize("tag", ["", "  "])
def test_an_empty_tag_is_refused(cluster: Cluster, tag: str) -> None:
    """An empty tag could mean everything."""
    with pytest.raises(ValueError, match="empty tag"):
        remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", tag)


def test_all_or_nothing(cluster: Cluster, recorder: Recorder) -> None:
    """In the wrong order nothing is removed, and the table is named."""
    _plant(cluster, "t1")
    with pytest.raises(Inconclusive, match="at table numbers"):
        remove_synthetic(cluster.config(), "smoker", PASSWORD, tuple(reversed(TABLES)), "tag", "t1", recorder)
    assert _left(cluster) == (602, 1)
    remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", "t1")


def test_missing_rights_and_no_server(cluster: Cluster) -> None:
    """A role that may not delete, a wrong table name, and a server that is away."""
    with pytest.raises(Inconclusive, match="at table children"):
        remove_synthetic(cluster.config(), "reader", PASSWORD, TABLES, "tag", "t")
    with pytest.raises(Inconclusive, match="at table missing"):
        remove_synthetic(cluster.config(), "smoker", PASSWORD, ("missing",), "tag", "t")
    with pytest.raises(Unreachable):
        remove_synthetic(cluster.config(port=free_port()), "smoker", PASSWORD, TABLES, "tag", "t")


def test_rows_that_stay_are_noticed(cluster: Cluster) -> None:
    """A trigger (or a rule, or a policy) that keeps rows must not look like success."""
    _plant(cluster, "sticky")
    with cluster.superuser() as connection:
        connection.execute("CREATE RULE keep AS ON DELETE TO numbers DO INSTEAD NOTHING")
        try:
            with pytest.raises(Inconclusive, match="still there"):
                remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", "sticky")
        finally:
            connection.execute("DROP RULE keep ON numbers")
    remove_synthetic(cluster.config(), "smoker", PASSWORD, TABLES, "tag", "sticky")
