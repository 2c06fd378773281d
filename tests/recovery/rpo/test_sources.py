"""RPO sources: what each reports, when they agree, and that sources that differ are named."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.recovery.model import Branch
from opsverify.recovery.rpo.heartbeat_log import Beat, HeartbeatLog, compare_beats
from opsverify.recovery.rpo.sources import RpoSource, agreed_loss, from_archive, from_heartbeat, from_server, unchanged
from opsverify.recovery.wal.commits import Commit, parse_commits, split

if TYPE_CHECKING:
    from pathlib import Path

T0 = dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)
WAY = (Branch(1, 0),)


def at(seconds: float) -> dt.datetime:
    """So many seconds after the tests' beginning."""
    return T0 + dt.timedelta(seconds=seconds)


def beats(count: int, timeline: int = 1) -> list[Beat]:
    """One beat a second; three other transactions in between."""
    return [Beat(n, timeline, 1000 * n, 700 + 4 * n, at(n)) for n in range(1, count + 1)]


def archive(back: float, newest: float, lost: int) -> RpoSource:
    """What the archive says."""
    return RpoSource("archive", at(back), at(newest), lost, "archived commits")


def test_without_a_commit_nothing_is_lost() -> None:
    """Archive and server both know of none between backup and target; what came later counts from the target."""
    idle = agreed_loss(unchanged(split([], at(5)), at(5)), 5.0)
    assert (idle.seconds, idle.at_least, idle.recovered_to, idle.newest) == (0.0, 0, at(5), None)
    once = agreed_loss(unchanged(split([Commit(1, at(6))], at(5)), at(5)), 5.0)
    assert (once.seconds, once.at_least, once.newest) == (1.0, 1, at(6))


@given(st.lists(st.integers(0, 50)), st.integers(0, 50))
def test_commits_are_split_where_recovery_stops(times: list[int], until: int) -> None:
    """In the order of the log, the first commit later than the target and all behind it are lost, no other."""
    commits = [Commit(index, at(time)) for index, time in enumerate(times)]
    tail = split(commits, at(until))
    kept = commits[: len(commits) - tail.lost]
    assert all(commit.at <= at(until) for commit in kept)
    assert tail.lost == 0 or commits[len(kept)].at > at(until)
    assert tail.recovered_to == (kept[-1].at if kept else None)


def test_what_was_committed_after_the_disaster_was_not_lost_in_it() -> None:
    """WAL goes on being archived while a drill restores: the sources report the same moment."""
    commits = [Commit(second, at(second)) for second in range(10)]
    tail = split(commits, at(3), disaster_at=at(5))
    assert (tail.recovered_to, tail.newest, tail.lost) == (at(3), at(5), 2)


def test_commits_are_read_from_pg_waldump() -> None:
    """A plain and a prepared commit count, an abort does not."""
    said = (
        "rmgr: Transaction len (rec/tot): 34/34, tx: 745, lsn: 0/030001A0, prev 0/03000158, "
        "desc: COMMIT 2026-11-22 20:00:01.000000 UTC\n"
        "rmgr: Transaction len (rec/tot): 34/34, tx: 746, lsn: 0/030001D0, prev 0/03000158, "
        "desc: ABORT 2026-11-22 20:00:02.000000 UTC\n"
        "rmgr: Transaction len (rec/tot): 34/34, tx: 747, lsn: 1/030001F0, prev 0/03000158, "
        "desc: COMMIT_PREPARED 747: 2026-11-22 20:00:03.000000 UTC\n"
    )
    assert list(parse_commits(said)) == [Commit(0x30001A0, at(1)), Commit(0x1030001F0, at(3))]


def test_log_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    """Beats come back as written; a line that a crash cut short is none, and the next one stands alone."""
    log = HeartbeatLog(tmp_path / "beats")
    for beat in beats(2):
        log.append(beat)
    with log.path.open("a") as file:
        file.write("3 1 0/")
    assert log.read() == tuple(beats(2))
    log.repair()
    log.append(beats(3)[2])
    assert log.read() == tuple(beats(3))


def test_log_that_is_no_log_is_inconclusive(tmp_path: Path) -> None:
    """Nothing there, or something else: no source, and the line that cannot be parsed is named."""
    log = HeartbeatLog(tmp_path / "beats")
    with pytest.raises(Inconclusive, match="opsverify dr heartbeat"):
        log.read()
    log.path.write_text("17 beats\n")
    with pytest.raises(Inconclusive, match=r"line 1: '17 beats' is not a heartbeat"):
        log.read()
    with pytest.raises(EvidenceError, match="cannot be written"):
        HeartbeatLog(tmp_path).append(beats(1)[0])


@given(st.integers(4, 40), st.integers(1, 40))
def test_lost_beats_are_those_behind_the_recovery_target(count: int, back: int) -> None:
    """Whatever was acknowledged and was not restored is lost, and their transactions with them."""
    back = min(back, count)
    found = compare_beats(beats(count), range(1, back + 1), WAY, until=at(back))
    assert found.last_restored == beats(count)[back - 1]
    assert [beat.number for beat in found.lost] == list(range(back + 1, count + 1))
    assert found.transactions == 4 * (count - back)
    assert not found.missing


def test_beats_of_an_abandoned_history_are_not_at_stake() -> None:
    """What an earlier recovery left behind on timeline 1 is no loss of this one."""
    log = [*beats(9), *(Beat(n, 2, 1000 * n, 700 + 4 * n, at(n)) for n in range(10, 13))]
    way = (Branch(1, 0), Branch(2, 5500))
    found = compare_beats(log, [*range(1, 6), 10, 11], way, until=at(11))
    assert [beat.number for beat in found.lost] == [12]
    assert not found.missing


def test_a_beat_that_ought_to_be_back_is_no_small_loss() -> None:
    """Acknowledged well before the target and not there: the data itself is in doubt."""
    found = compare_beats(beats(20), [*range(1, 8), *range(9, 16)], WAY, until=at(15))
    with pytest.raises(Inconclusive, match=r"1 commits acknowledged .* the first is beat 8"):
        from_heartbeat(found, 1.0)


def test_tidied_beats_are_not_missing() -> None:
    """The writer removes old rows; the log goes further back than the table."""
    assert not compare_beats(beats(20), range(10, 21), WAY, until=at(20)).missing


def test_sources_that_agree_give_the_loss() -> None:
    """Seconds from the last restored commit to the newest known one; transactions between two bounds."""
    found = compare_beats(beats(20), range(1, 11), WAY, until=at(10.5))
    loss = agreed_loss([from_heartbeat(found, 1.0), archive(10.4, 15, 17), RpoSource("server", at(10.4))], 1.0)
    assert loss.seconds == pytest.approx(9.6)
    assert (loss.at_least, loss.at_most) == (17, 40)
    assert loss.transactions == "17 to 40"
    assert "heartbeat: restored to" in str(loss)


def test_an_absent_source_is_reported_as_absent() -> None:
    """Two are enough; the third one's reason stands in the message."""
    server = from_server(None, at(10), "the server was restarted since")
    loss = agreed_loss(
        [from_heartbeat(compare_beats(beats(10), range(1, 11), WAY, at(10)), 1.0), archive(10, 10, 0), server], 1.0
    )
    assert loss.seconds == 0
    assert "server is absent (the server was restarted since)" in str(loss)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([archive(10, 12, 3), RpoSource("server", at(4))], "archive and server differ by 6.0 s"),
        ([archive(10, 12, 3), RpoSource("server", absent="NULL")], "1 of 2 RPO sources needed"),
        (
            [archive(10, 30, 3), RpoSource("heartbeat", at(10), at(11), 1, "beats", behind_s=1.0)],
            "heartbeat stopped 19.0 s before the last archived commit",
        ),
    ],
)
def test_a_difference_is_inconclusive_and_names_every_report(sources: list[RpoSource], message: str) -> None:
    """No source outweighs another; all their reports are in the message."""
    with pytest.raises(Inconclusive, match=message) as raised:
        agreed_loss(sources, 2.0)
    assert all(str(source) in str(raised.value) for source in sources)


def test_a_server_past_the_target_followed_another_timeline() -> None:
    """A replay time later than the target is of another timeline or target, and no source for this recovery."""
    with pytest.raises(Inconclusive, match="another timeline"):
        from_server(at(11), at(10), "")


def test_an_archive_without_commits_is_absent() -> None:
    """Nothing committed between backup and target: nothing to report."""
    assert from_archive(split([], at(1))).absent
