"""Log of attestations of one target: a hash-chained JSONL file next to the reports, with one writer at a time.

Each entry carries the SHA-256 over its own canonical JSON and its predecessor's hash. An entry changed, taken out of
the middle or put in later breaks the chain from there on. A tail cut off does not: every run keeps the chain's head in
its verdict (`Head`), and `Log.truncated_since` compares.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA: Final = "opsverify.attestation/1"
FOLDER: Final = "attestations"
CONFIRMED, FAILED = "confirmed", "failed"
_GENESIS: Final = "0" * 64
_CHAIN: Final = ("seq", "previous", "sha256", "signature")
"""Fields that a person does not sign: those of the log, and the signature itself."""


@dataclass(frozen=True)
class SignedEntry:
    """One attestation: item and wording as shown, result, who, when observed and signed, evidence, place in the chain.

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
    seq: int = 0
    previous: str = _GENESIS
    sha256: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """What a person signs: everything but the log's own fields."""
        return _canonical({name: value for name, value in asdict(self).items() if name not in _CHAIN})

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
    """All entries of a target, oldest first, whose chain holds."""

    entries: tuple[SignedEntry, ...]

    @property
    def head(self) -> Head:
        """The newest entry; `Head(0, "000...")` of an empty log."""
        return Head(self.entries[-1].seq, self.entries[-1].sha256) if self.entries else Head(0, _GENESIS)

    def newest(self, item: str) -> SignedEntry | None:
        """The newest entry of an item."""
        return next((entry for entry in reversed(self.entries) if entry.item == item), None)

    def truncated_since(self, known: Head) -> bool:
        """Whether the log no longer holds what a run has seen as its head."""
        if known.seq == 0:
            return False
        return len(self.entries) < known.seq or self.entries[known.seq - 1].sha256 != known.sha256


def path_of(reports: Path, target: str) -> Path:
    """The log of a target: `reports/attestations/TARGET.jsonl`."""
    return reports / FOLDER / f"{target}.jsonl"


def read(path: Path) -> Log:
    """The log at `path`; an empty one where there is no file. Raises EvidenceError naming the first broken line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Log(())
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(say("{path}: cannot be read: {error}", path=path, error=error)) from error
    return Log(tuple(_entries(path, text)))


def _entries(path: Path, text: str) -> Iterator[SignedEntry]:
    previous = _GENESIS
    for number, line in enumerate(text.splitlines(), 1):
        try:
            raw: dict[str, Any] = json.loads(line)
            entry = SignedEntry(**raw)
            whole = entry.seq == number and entry.previous == previous and entry.sha256 == hash_of(entry)
            dt.datetime.fromisoformat(entry.observed_at)
        except (ValueError, TypeError):
            whole = False
        if not whole:
            raise EvidenceError(
                say(
                    "{path}: entry {number} was changed or is incomplete; restore the file from a backup",
                    path=path,
                    number=number,
                )
            )
        previous = entry.sha256
        yield entry


def hash_of(entry: SignedEntry) -> str:
    """The hash of an entry in the chain."""
    content = {name: value for name, value in asdict(entry).items() if name != "sha256"}
    return hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
