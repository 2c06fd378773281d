"""Leftovers of killed journeys: found by their tag, removed once their journey has ended, and no other row."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.config.load import load_target
from opsverify.smoke.cleanup import remove_leftovers
from opsverify.smoke.tags import PREFIX, Tag, new_tag
from tests.probes.probe_servers import PASSWORD, cluster, stopped_cluster
from tests.pytest_plugin.suite import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.probes.probe_servers import Cluster

__all__ = ["cluster", "stopped_cluster"]


def _tag_of(pid: int, age_s: float = 0.0) -> str:
    own = new_tag()
    return f"{PREFIX}{int(time.time() - age_s):08x}{own[18:22]}{pid:06x}abcdef"


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_tag_says_when_where_and_by_whom() -> None:
    """A running journey's tag is no leftover; that of an ended process or of long ago is; other tags are not ours."""
    own = Tag.parse(new_tag())
    now = time.time()
    assert own is not None
    assert own.pid == os.getpid()
    assert abs(own.at - now) < 60
    assert not own.is_left_over(now)
    assert own.is_left_over(own.at + 601)
    assert own.is_left_over(now, older_than_s=0)
    dead = Tag.parse(_tag_of(_dead_pid()))
    assert dead is not None
    assert dead.is_left_over(now)
    elsewhere = Tag(now, "none", dead.pid)
    assert not elsewhere.is_left_over(now)
    assert Tag.parse("opsverify-by-hand") is None


def test_no_two_tags_are_the_same() -> None:
    """Journeys of one process have a tag each, however many begin in one second."""
    assert len({new_tag() for _ in range(20_000)}) == 20_000


@pytest.fixture
def target(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A target whose cleanup role may remove tagged rows."""
    monkeypatch.setenv("PLANTED_SECRET", PASSWORD)
    path = tmp_path / "t.toml"
    login = '{ user = "smoker", password = { env = "PLANTED_SECRET" } }'
    path.write_text(
        TARGET.replace('"postgres", ', "").replace(
            "journeys = []", f'journeys = []\ntables = ["numbers"]\ntag_column = "tag"\ncleanup = {login}'
        )
        + f'[postgres]\nhost = "127.0.0.1"\nport = {cluster.port}\ndbname = "postgres"\nsslmode = "disable"\n'
        f"login = {login}\n"
    )
    yield path
    with cluster.superuser() as connection:
        connection.execute("DELETE FROM numbers WHERE tag IS NOT NULL")


def test_what_a_killed_journey_left_is_removed(cluster: Cluster, target: Path) -> None:
    """Rows of an ended process and of long ago go; those of a running journey, of others and real ones stay."""
    kept = [new_tag(), "opsverify-by-hand", "other"]
    tags = [_tag_of(_dead_pid()), _tag_of(os.getpid(), 3600), *kept]
    with cluster.superuser() as connection:
        for number, tag in enumerate(tags):
            connection.execute("INSERT INTO numbers VALUES (%s, 'x', %s)", (9000 + number, tag))
    loaded, secrets = load_target(target)
    assert remove_leftovers(loaded, secrets) == {tags[0]: 1, tags[1]: 1}
    with cluster.superuser() as connection:
        left = connection.execute("SELECT tag FROM numbers WHERE tag IS NOT NULL ORDER BY id").fetchall()
        assert [row[0] for row in left] == kept
        assert connection.execute("SELECT count(*) FROM numbers WHERE tag IS NULL").fetchone() == (600,)


def test_the_command(cluster: Cluster, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`opsverify clean` names what it removed, and ends 0; a target without cleanup is refused."""
    tag = _tag_of(_dead_pid())
    with cluster.superuser() as connection:
        connection.execute("INSERT INTO numbers VALUES (9100, 'x', %s)", (tag,))
    assert main(["clean", "--target", str(target)]) == 0
    assert f"removed 1 rows of {tag}" in capsys.readouterr().out
    assert main(["clean", "--target", str(target)]) == 0
    target.write_text(TARGET)
    assert main(["clean", "--target", str(target)]) == 4
    assert "synthetic.cleanup" in capsys.readouterr().err
