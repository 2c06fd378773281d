"""Repair of a damaged timeline: what is whole is kept, the damaged file too, and what was cut is said."""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
from typing import TYPE_CHECKING

from filelock import FileLock

from opsverify.errors import EvidenceError, Refused
from opsverify.evidence.chain import GENESIS, encoded, parse
from opsverify.evidence.files import write_atomic
from opsverify.incident.checklist import NOTE
from opsverify.incident.timeline import NAME, SCHEMA, event_of
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.evidence.chain import ChainLine


def repair(folder: Path) -> list[str]:
    """Keep the whole lines of the timeline in `folder`; lines that say what was cut, and where the old file is.

    A note in the timeline says the same. Raises Refused where nothing is damaged, EvidenceError where no line is whole
    or the file cannot be read or written.
    """
    path = folder / NAME
    try:
        with FileLock(path.with_suffix(".lock")):
            return _repair(path)
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be repaired ({strerror})", path=path, strerror=error.strerror)
        ) from error


def _repair(path: Path) -> list[str]:
    data = path.read_bytes()
    chain = parse(data)
    kept = [line for line in chain.lines if _whole(line)]
    if len(kept) == len(chain.lines) and not chain.torn and chain.fault is None:
        raise Refused(say("{path}: nothing is damaged", path=path))
    if not kept:
        raise EvidenceError(say("{path}: no line is whole; declare again", path=path))
    cut = [
        say("line {number} was cut: {fault}", number=line.number, fault=line.fault or say("not an event"))
        for line in chain.lines
        if line not in kept
    ]
    if chain.torn:
        cut.append(say("line {count} was cut: never finished", count=len(chain.lines) + 1))
    if not cut:
        cut = [say("lines were missing or moved: {fault}", fault=chain.fault)]
    now = dt.datetime.now(dt.UTC)
    aside = path.with_name(f"timeline.damaged-{now:%Y%m%dT%H%M%S%fZ}.jsonl")
    write_atomic(aside, data)
    last = event_of(kept[-1].content)
    note: dict[str, object] = {
        "schema": SCHEMA, "step": NOTE, "at": max(now, last.moment).isoformat(timespec="seconds"),
        "recorded_at": now.isoformat(timespec="seconds"), "by": getpass.getuser(), "target": last.target,
        "note": f"repaired, see {aside.name} (SHA-256 {hashlib.sha256(data).hexdigest()}): {'; '.join(cut)}",
    }  # fmt: skip
    write_atomic(path, b"".join(_chained([*(line.content for line in kept), note])))
    return [
        *cut,
        say(
            "{kept} of {total} lines kept; the damaged file is {aside}",
            kept=len(kept),
            total=len(chain.lines) + bool(chain.torn),
            aside=aside,
        ),
    ]


def _whole(line: ChainLine) -> bool:
    """Whether a line is what was written, whatever became of the line before it."""
    try:
        event_of(line.content)
    except (ValueError, KeyError, TypeError):
        return False
    return line.fault is None or line.fault.startswith("does not follow")


def _chained(contents: list[dict[str, object]]) -> Iterator[bytes]:
    previous = GENESIS
    for content in contents:
        raw = encoded({**content, "previous": previous})
        previous = hashlib.sha256(raw).hexdigest()
        yield raw + b"\n"
