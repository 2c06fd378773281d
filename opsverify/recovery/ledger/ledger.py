"""The ledger: data recorded from the database before a disaster, kept outside of it in one append-only file.

Every record carries the SHA-256 over the previous record's hash and its own canonical JSON, so that a record
changed, taken out or put in later breaks the chain from there on. A tail cut off does not: keep the head's
hash (`ChainState.head`) in the evidence and pass it to `verify_chain`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError, Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.absent import NOTHING_RECORDED
from opsverify.recovery.ledger.queries import Facts, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.ledger.validations import Validation

SCHEMA: Final = "opsverify.ledger/1"
_GENESIS: Final = "0" * 64
_BUSY_S: Final = 10.0
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY, previous TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL UNIQUE
);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True)
class Recorded:
    """One capture: for each table its facts, its window and its query's fingerprint, as of `captured_at`.

    `new_buckets` names the closed buckets that it recorded first, by core table.
    """

    seq: int
    captured_at: dt.datetime
    tables: Mapping[str, Facts]
    windows: Mapping[str, Window]
    queries: Mapping[str, str]
    new_buckets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def read_facts(self, source: Source, validations: Mapping[str, Validation]) -> dict[str, Facts]:
        """Return what `source` (the restored database) holds of the same windows, by the same queries.

        Validations that are no longer there are left out. Raises Inconclusive when a query is not the one that was
        recorded with.
        """
        found = {}
        for name, window in self.windows.items():
            if (validation := validations.get(name)) is None:
                continue
            if validation.fingerprint != self.queries[name]:
                raise Inconclusive(
                    say(
                        "{query} was changed after capture {seq} of {captured_at}: validate with the version it "
                        "was recorded with, or capture anew before the next disaster",
                        query=validation.query,
                        seq=self.seq,
                        captured_at=self.captured_at.isoformat(),
                    )
                )
            found[name] = validation.facts(source(validation.sql, window.params))
        return found


@dataclass(frozen=True)
class ChainState:
    """How many records hold together, the last one's hash, and the first fault (None: there is none)."""

    records: int
    head: str
    broken: str | None


class Ledger:
    """The ledger in the SQLite file `path`; it may be read while another process appends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def capture(
        self,
        source: Source,
        at: dt.datetime,
        validations: Mapping[str, Validation],
        zone: dt.tzinfo = dt.UTC,
        more: Callable[[dt.datetime, Mapping[str, Any] | None], Mapping[str, Any]] | None = None,
    ) -> Recorded:
        """Record the closed buckets of every table as of `at`, in one record, whole or not at all.

        `zone` is the plant's, which decides when a production date is over. When the database's clock is
        behind `at`, its time counts. `more` is asked, with that time and the newest record's content, for
        what the record holds besides. Raises EvidenceError when the file cannot be written or `at` lies
        before the newest record.
        """
        ((now,),) = source("SELECT now()", {})
        at = min(at, now).astimezone(dt.UTC)
        windows = {name: one.window(at, zone) for name, one in validations.items()}
        facts = {name: one.facts(source(one.sql, windows[name].params)) for name, one in validations.items()}
        body = _canonical(
            {
                "schema": SCHEMA,
                "captured_at": at.isoformat(),
                "tables": {
                    name: {
                        "since": window.since.isoformat(),
                        "until": window.until.isoformat(),
                        "query": validations[name].fingerprint,
                        "facts": facts[name],
                    }
                    for name, window in windows.items()
                },
                **(more(at, self._newest()) if more else {}),
            }
        )
        return _recorded(self._append(body, at), body)

    def newest_before(self, recovery_target: dt.datetime) -> Recorded:
        """Return the newest capture at or before `recovery_target`.

        Raises Inconclusive when there is none, EvidenceError when the record does not match its hash.
        """
        with self._reading() as database:
            for seq, previous, body, digest in database.execute(
                "SELECT seq, previous, body, hash FROM records ORDER BY seq DESC"
            ):
                if _hash(previous, body) != digest:
                    raise EvidenceError(
                        say(
                            "ledger {path}: record {seq} does not match its hash: it was changed",
                            path=self.path,
                            seq=seq,
                        )
                    )
                recorded = _recorded(seq, body)
                if recorded.captured_at <= recovery_target:
                    return recorded
        raise Inconclusive(NOTHING_RECORDED)

    def bodies_until(self, moment: dt.datetime) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and content of every record captured at or before `moment`, in order.

        Raises EvidenceError at a record that does not match its hash, Inconclusive where there is no ledger.
        """
        with self._reading() as database:
            for seq, previous, body, digest in database.execute(
                "SELECT seq, previous, body, hash FROM records ORDER BY seq"
            ):
                if _hash(previous, body) != digest:
                    raise EvidenceError(
                        say(
                            "ledger {path}: record {seq} does not match its hash: it was changed",
                            path=self.path,
                            seq=seq,
                        )
                    )
                content = json.loads(body)
                if dt.datetime.fromisoformat(content["captured_at"]) > moment:
                    return
                yield seq, content

    def _newest(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        with self._reading() as database:
            row = database.execute("SELECT body FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        return dict(json.loads(row[0])) if row else None

    def verify_chain(self, head: str | None = None) -> ChainState:
        """Recompute every hash; `broken` names the first record that does not fit.

        With `head`, a hash noted earlier, that record must still be in the chain.
        """
        previous, count, seen = _GENESIS, 0, head is None
        with self._reading() as database:
            for seq, link, body, digest in database.execute(
                "SELECT seq, previous, body, hash FROM records ORDER BY seq"
            ):
                fault = None
                if seq != count + 1:
                    fault = say("record {count} is missing", count=count + 1)
                elif link != previous:
                    fault = say(
                        "record {seq} does not follow from record {count}: one of them was replaced",
                        seq=seq,
                        count=count,
                    )
                elif _hash(link, body) != digest:
                    fault = say("record {seq} does not match its hash: it was changed", seq=seq)
                if fault:
                    return ChainState(count, previous, fault)
                previous, count, seen = digest, seq, seen or digest == head
        return ChainState(
            count,
            previous,
            None if seen else say("records after {count} are missing: {head} is not there", count=count, head=head),
        )

    def _append(self, body: str, at: dt.datetime) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as database:
                database.executescript(_TABLE)
                database.execute("PRAGMA synchronous = FULL")
                database.execute("BEGIN IMMEDIATE")
                last = database.execute("SELECT seq, body, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
                seq, newest, previous = last or (0, None, _GENESIS)
                if newest is not None and (before := _recorded(seq, newest).captured_at) > at:
                    raise EvidenceError(
                        say(
                            "ledger {path}: capture at {at} lies before the newest record ({before}): a clock went "
                            "backwards; set it right",
                            path=self.path,
                            at=at.isoformat(),
                            before=before.isoformat(),
                        )
                    )
                row = (seq + 1, previous, body, _hash(previous, body))
                database.execute("INSERT INTO records (seq, previous, body, hash) VALUES (?, ?, ?, ?)", row)
                database.execute("COMMIT")
                return int(row[0])
        except (OSError, sqlite3.Error) as error:
            raise EvidenceError(say("ledger {path} cannot be written: {error}", path=self.path, error=error)) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        # Where we may write, a writer's crash in mid-capture is rolled back by the first reader.
        mode = "rw" if os.access(self.path, os.W_OK) else "ro"
        try:
            with closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode={mode}", timeout=_BUSY_S, uri=True)
            ) as database:
                yield database
        except sqlite3.Error as error:
            raise Inconclusive(
                say(
                    "ledger {path} cannot be read: {error}; has anything been captured yet?",
                    path=self.path,
                    error=error,
                )
            ) from error


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _hash(previous: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def _recorded(seq: int, body: str) -> Recorded:
    try:
        raw = json.loads(body)
        tables = raw["tables"]
        return Recorded(
            seq=seq,
            captured_at=dt.datetime.fromisoformat(raw["captured_at"]),
            tables={name: entry["facts"] for name, entry in tables.items()},
            windows={name: Window(_moment(entry["since"]), _moment(entry["until"])) for name, entry in tables.items()},
            queries={name: entry["query"] for name, entry in tables.items()},
            new_buckets={name: tuple(entry["buckets"]) for name, entry in raw.get("core", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            say("ledger record {seq} is not of schema {schema}: {error}", seq=seq, schema=SCHEMA, error=repr(error))
        ) from error


def _moment(text: str) -> dt.datetime | dt.date:
    return dt.datetime.fromisoformat(text) if "T" in text else dt.date.fromisoformat(text)
