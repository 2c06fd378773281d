"""A damaged incident record: no entry makes it worse, and what is whole is kept."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.chain import append, parse
from opsverify.incident.entries import Entry, declare, mark, status
from opsverify.incident.repair import repair
from opsverify.incident.timeline import NAME, read

if TYPE_CHECKING:
    from pathlib import Path


def noted(project: Path, count: int = 3) -> Path:
    """Declare and note; the record's file."""
    incident = declare("t", project, Entry(by="kim"))
    for number in range(count):
        incident = mark("t", project, None, "note", Entry(by="kim", note=f"note {number}"))
    return incident.folder / NAME


@pytest.mark.parametrize("cut", [2, 20, 120])
def test_half_written_last_line(project: Path, cut: int) -> None:
    """Status reads it and says so, the next entry sets the half line aside and is whole itself."""
    path = noted(project)
    path.write_bytes(path.read_bytes()[:-cut])
    assert any("never finished" in line for line in status("t", project, None))
    after = mark("t", project, None, "note", Entry(note="after"))
    assert [event.note for event in read(after.folder).events] == ["", "note 0", "note 1", "after"]
    assert path.with_suffix(".torn").exists()


def test_missing_line_break(project: Path) -> None:
    """A whole line without its line break counts, and the next one does not run into it."""
    path = noted(project)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(mark("t", project, None, "note", Entry()).events) == 5
    assert len(read(path.parent).events) == 5


def test_clock_that_jumped(project: Path) -> None:
    """An entry after one from the future takes that one's time, and says when it was recorded."""
    path = noted(project, 0)
    future = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)).isoformat(timespec="seconds")
    content = parse(path.read_bytes()).lines[-1].content
    append(path, {**{k: v for k, v in content.items() if k != "previous"}, "step": "note", "at": future})
    event = mark("t", project, None, "note", Entry()).events[-1]
    assert event.at == future
    assert event.recorded_at < future


def test_two_people_at_once(project: Path) -> None:
    """Of many notes and declarations at once each is recorded whole or refused, and one incident is open."""

    def declared(_number: int) -> bool:
        try:
            declare("t", project, Entry())
        except Refused:
            return False
        return True

    def marked(_number: int) -> bool:
        try:
            mark("t", project, None, "note", Entry())
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(declared, range(4))) == 1
        accepted = sum(pool.map(marked, range(12)))
    (path,) = (project / "reports" / "incidents").glob(f"*/{NAME}")
    assert len(read(path.parent).events) == 1 + accepted


def test_declaration_that_was_never_finished(project: Path) -> None:
    """A folder without a whole line is no incident: the next declaration is not kept from it."""
    folder = project / "reports" / "incidents" / "20260101T000000Z-t-abcd"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b'{"schema": "opsv')
    assert declare("t", project, Entry()).events


@pytest.mark.parametrize("damage", [b"\x00" * 40, b"{}", b'{"step": "note"', b"[" * 5000])
def test_repair_keeps_what_is_whole(project: Path, damage: bytes) -> None:
    """A line overwritten in the middle: entries are refused, repair keeps the others and names the one it cut."""
    path = noted(project)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]) + b"\n")
    before = path.read_bytes()
    with pytest.raises(EvidenceError, match="line 2"):
        mark("t", project, None, "note", Entry())
    assert path.read_bytes() == before
    said = repair(path.parent)
    assert said[0].startswith("line 2 was cut")
    events = read(path.parent).events
    assert [event.note for event in events[:-1]] == ["", "note 1", "note 2"]
    assert "line 2 was cut" in events[-1].note
    assert [file.read_bytes() for file in path.parent.glob("timeline.damaged-*")] == [before]
    with pytest.raises(Refused, match="nothing is damaged"):
        repair(path.parent)


@given(st.lists(st.integers(0, 10**6), max_size=8), st.integers(0, 400))
@settings(max_examples=40)
def test_a_cut_anywhere_never_jams(tmp_path: Path, values: list[int], cut: int) -> None:
    """Wherever a write ended, the next line is appended and the chain is whole."""
    path = tmp_path / "chain.jsonl"
    path.unlink(missing_ok=True)
    for value in values:
        append(path, {"value": value})
    data = path.read_bytes() if values else b""
    path.write_bytes(data[: max(0, len(data) - cut)])
    append(path, {"value": -1})
    chain = parse(path.read_bytes())
    kept = [line.content["value"] for line in chain.lines]
    assert (chain.fault, chain.torn) == (None, b"")
    assert kept[:-1] == values[: len(kept) - 1]
    assert kept[-1] == -1
