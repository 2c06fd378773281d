"""Log of attestations of one target: a chain of JSON lines next to the reports (`opsverify/evidence/chain.py`).

A tail that was cut off leaves a whole chain: every run keeps the head in its verdict (`Head`), and
`Log.truncated_since` compares.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.evidence import chain
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA: Final = "opsverify.attestation/1"
FOLDER: Final = "attestations"
CONFIRMED, FAILED = "confirmed", "failed"


@dataclass(frozen=True)
class SignedEntry:
    """One attestation: item and wording as shown, result, who, when observed and signed, evidence.

    `wording` is the SHA-256 of the item's text in both languages; `evidence` maps file names to their SHA-256;
    `signature` is an Ed25519 signature in hexadecimal over `signed_bytes`, or None.
    """

    schema: str
    target: str
    item: str
    wording: str
    result: str
    by: str
    role: str
    observed_at: str
    signed_at: str
    valid_until: str | None
    note: str
    evidence: dict[str, str]
    signature: str | None = None

    @property
    def signed_bytes(self) -> bytes:
        """What a person signs: everything but the signature, as canonical JSON."""
        content = {name: value for name, value in asdict(self).items() if name != "signature"}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @property
    def observed(self) -> dt.datetime:
        """When the person looked."""
        return dt.datetime.fromisoformat(self.observed_at)

    @property
    def until(self) -> dt.datetime | None:
        """The end of validity that the person gave, if any."""
        return dt.datetime.fromisoformat(self.valid_until) if self.valid_until else None


@dataclass(frozen=True)
class Head:
    """The newest entry of a log: how many there are, and its hash."""

    seq: int
    sha256: str


@dataclass(frozen=True)
class Log:
    """All entries of a target, oldest first, whose chain holds; `digests` are the sums of their lines."""

    entries: tuple[SignedEntry, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        """The newest entry; `Head(0, "000...")` of an empty log."""
        return Head(len(self.digests), self.digests[-1] if self.digests else chain.GENESIS)

    def newest(self, item: str) -> SignedEntry | None:
        """The newest entry of an item."""
        return next((entry for entry in reversed(self.entries) if entry.item == item), None)

    def truncated_since(self, known: Head) -> bool:
        """Whether the log no longer holds what a run has seen as its head."""
        return known.seq > 0 and self.digests[known.seq - 1 : known.seq] != (known.sha256,)


def path_of(reports: Path, target: str) -> Path:
    """The log of a target: `reports/attestations/TARGET.jsonl`."""
    return reports / FOLDER / f"{target}.jsonl"


def read(path: Path) -> Log:
    """The log at `path`; an empty one where there is no file. Raises EvidenceError naming the first broken line."""
    try:
        found = chain.parse(path.read_bytes())
    except FileNotFoundError:
        return Log()
    except OSError as error:
        raise EvidenceError(say("{path}: cannot be read: {error}", path=path, error=error)) from error
    return Log(tuple(_entries(path, found)), tuple(line.digest for line in found.lines))


def append(path: Path, entry: SignedEntry) -> int:
    """Add an entry at the end, on disk before this returns; its number.

    Raises EvidenceError where the log is broken (nothing is added to a record that cannot be trusted), or cannot be
    written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return chain.append(path, asdict(entry), lambda found: tuple(_entries(path, found))).number
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error}); free or unlock the folder", path=path, error=error.strerror)
        ) from error


def _entries(path: Path, found: chain.Chain) -> Iterator[SignedEntry]:
    for line in found.lines:
        try:
            entry = SignedEntry(**{name: value for name, value in line.content.items() if name != "previous"})
            moments = (entry.observed, entry.until or entry.observed)
            whole = line.fault is None and all(moment.tzinfo for moment in moments)
        except (ValueError, TypeError):
            whole = False
        if not whole:
            raise _broken(path, line.number)
        yield entry
    if found.torn:
        raise _broken(path, len(found.lines) + 1)


def _broken(path: Path, number: int) -> EvidenceError:
    return EvidenceError(
        say(
            "{path}: entry {number} was changed or is incomplete; restore the file from a backup",
            path=path,
            number=number,
        )
    )
