"""The heartbeat's log: every commit that the database acknowledged, written down outside of it.

One line for each beat, appended and flushed to the disk only after the commit was acknowledged:

    17 1 0/3000148 745 2026-11-24T02:30:00.123456+00:00

the beat's number, the timeline and the WAL position right after its commit, its transaction, and the database's
own time of the beat. A recovery that lost commits lost beats of this log; transaction numbers count the writing
transactions of every client, so the distance between two beats bounds how many were lost with them.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.language.message import say
from opsverify.recovery.wal.lsn import format_lsn, parse_lsn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from opsverify.recovery.model import Branch

COMMIT_DURATION: Final = dt.timedelta(seconds=2)
"""How long a beat's commit may take: one noted that shortly before the recovery target may rightly be lost."""


@dataclass(frozen=True)
class Beat:
    """One acknowledged commit: its number, timeline and WAL position (a byte offset), transaction, and time."""

    number: int
    timeline: int
    lsn: int
    transaction: int
    at: dt.datetime

    def __str__(self) -> str:
        return f"{self.number} {self.timeline} {format_lsn(self.lsn)} {self.transaction} {self.at.isoformat()}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read one line of the log. Raises ValueError when it is none."""
        number, timeline, lsn, transaction, at = line.split(" ")
        moment = dt.datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError(say("{at} has no time zone", at=at))
        return cls(int(number), int(timeline), parse_lsn(lsn), int(transaction), moment)


class HeartbeatLog:
    """The append-only log in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, beat: Beat) -> None:
        """Write `beat` and wait until the disk has it. Raises EvidenceError when that cannot be done."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, f"{beat}\n".encode())  # one call: a line is whole, or cut short by a crash
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise EvidenceError(
                say("heartbeat log {path} cannot be written: {error}", path=self.path, error=error.strerror)
            ) from error

    def repair(self) -> None:
        """Cut a last line off that a crash left without its end, so that the next one begins a line of its own."""
        try:
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                os.truncate(self.path, whole)
        except FileNotFoundError:
            return
        except OSError as error:
            raise EvidenceError(
                say("heartbeat log {path} cannot be repaired: {error}", path=self.path, error=error.strerror)
            ) from error

    def read(self) -> tuple[Beat, ...]:
        """Return all beats in order; a line cut short at the end was never acknowledged.

        Raises Inconclusive when there is no log, or a line cannot be parsed.
        """
        try:
            text = self.path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else say("not ASCII")
            raise Inconclusive(
                say(
                    "heartbeat log {path} cannot be read ({why}); run `opsverify dr heartbeat` all the time",
                    path=self.path,
                    why=why,
                )
            ) from error
        beats = []
        for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
            try:
                beats.append(Beat.parse(line))
            except ValueError as error:
                raise Inconclusive(
                    say(
                        "heartbeat log {path}, line {number}: {line!r} is not a heartbeat: {error}",
                        path=self.path,
                        number=number,
                        line=line,
                        error=error,
                    )
                ) from error
        return tuple(beats)


@dataclass(frozen=True)
class HeartbeatComparison:
    """The heartbeat's log compared with a database recovered to a point in time.

    `last_restored` is the last restored beat; `missing` are beats acknowledged before that point in time which
    are not there, `lost` those after it, up to the disaster.
    """

    last_restored: Beat | None
    missing: tuple[Beat, ...]
    lost: tuple[Beat, ...]

    @property
    def transactions(self) -> int:
        """Number of writing transactions begun from the last restored beat to the last one lost."""
        if not self.lost:
            return 0
        begin = self.last_restored.transaction if self.last_restored else self.lost[0].transaction - 1
        return self.lost[-1].transaction - begin


def compare_beats(
    acknowledged: Sequence[Beat],
    present: Collection[int],
    path: Sequence[Branch],
    until: dt.datetime,
    disaster_at: dt.datetime | None = None,
) -> HeartbeatComparison:
    """Compare `acknowledged` with the numbers `present` in the database that was recovered to `until`.

    Compared are the beats on `path`, the timelines that were recovered, from the oldest one present (the writer
    deletes older ones) up to `disaster_at`; not those of a timeline that an earlier recovery abandoned.
    """
    oldest = min(present, default=0)
    compared = [
        beat
        for beat in acknowledged
        if beat.number >= oldest and _on(path, beat) and (disaster_at is None or beat.at <= disaster_at)
    ]
    absent = [beat for beat in compared if beat.number not in present]
    lost = tuple(beat for beat in absent if beat.at > until - COMMIT_DURATION)
    restored = [beat for beat in compared if beat.number in present and not (lost and beat.number > lost[0].number)]
    return HeartbeatComparison(
        last_restored=restored[-1] if restored else None,
        missing=tuple(beat for beat in absent if beat.at <= until - COMMIT_DURATION),
        lost=lost,
    )


def _on(path: Sequence[Branch], beat: Beat) -> bool:
    ends = [branch.begins for branch in path[1:]]
    for branch, end in zip(path, [*ends, None], strict=True):
        if branch.timeline == beat.timeline:
            return beat.lsn >= branch.begins and (end is None or beat.lsn <= end)
    return False
