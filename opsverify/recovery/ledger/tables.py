"""Table of the ledger, as a value: how its rows fall into buckets, what of them is hashed.

Rows are in order where a column tells when they were added: a time, a date, or the first column of an integer key.
Such buckets are closed for good. Where there is no such column, or the rows do not lie in its order, a table is
divided by the hash of its key, a small one not at all: these buckets hold as long as the table is not changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from opsverify.recovery.ledger.row_hash import row_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["time", "local", "date", "integer", "hash"]
"""What tells a row's bucket: timestamptz, timestamp (of an unknown zone), date, whole numbers; or its key's hash."""


@dataclass(frozen=True)
class TableChoice:
    """Settings of a target for one table; None and empty mean: as found in the catalog."""

    bucket: str | None = None
    width: str | int | None = None
    mutable: tuple[str, ...] = ()
    retention: str | None = None


@dataclass(frozen=True)
class CoreTable:
    """One table of the ledger, with names quoted for SQL where they are SQL.

    `width` is in seconds (times), days (dates), keys (integers) or slots (hash, which has no `bucket` column);
    `terms` are hashed, `hashed` names their columns; `key` is the primary key in SQL, empty where there is none;
    rows fulfil `where`, if given. `keys_only` where columns that may change are left out because it is not known which.
    """

    name: str
    quoted: str
    bucket: str
    kind: Kind
    width: int
    key: tuple[str, ...]
    terms: tuple[str, ...]
    hashed: tuple[str, ...]
    where: str | None
    indexed: bool
    retention_s: float | None = None
    partitioned: bool = False
    key_terms: tuple[str, ...] = ()
    keys_only: bool = False
    declared: bool = True

    @property
    def hash(self) -> str:
        """The row's hash in SQL, over the alias `t`."""
        return row_hash(self.terms)

    @property
    def relation(self) -> str:
        """The table in a FROM clause; children by inheritance are tables of their own."""
        return self.quoted if self.partitioned or self.quoted.startswith("ONLY ") else f"ONLY {self.quoted}"

    @property
    def at(self) -> str:
        """What spans are compared with, in SQL over the alias `t`: the bucket column, or the number of the slot."""
        if self.kind != "hash":
            return f"t.{self.bucket}"
        return f"({row_hash(self.key_terms or self.terms)} & {self.width - 1})" if self.width > 1 else "0"

    @property
    def start(self) -> str:
        """The start of a row's bucket in SQL, over the alias `t`; of whole numbers the bucket's number."""
        if self.kind == "hash":
            return self.at
        column, width = f"t.{self.bucket}", self.width
        if self.kind == "time":
            return f"date_bin('{width} seconds', {column}, timestamptz '2000-01-01 00:00:00+00')"
        if self.kind == "local":
            return f"date_bin('{width} seconds', {column}, timestamp '2000-01-01 00:00:00')"
        if self.kind == "integer" and width & (width - 1) == 0:
            return f"{column}::int8 >> {width.bit_length() - 1}"  # rounds down, also below zero
        number = f"{column}::int8" if self.kind == "integer" else f"({column} - date '2000-01-01')"
        floor = number if width == 1 else f"({number} - mod(mod({number}, {width}) + {width}, {width}))"
        return f"{floor} / {width}" if self.kind == "integer" else f"date '2000-01-01' + {floor}"

    @property
    def fingerprint(self) -> str:
        """What two captures must share for their buckets to be one series (retention may change)."""
        text = json.dumps(asdict(replace(self, retention_s=None, indexed=True, declared=True)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """As recorded in the ledger."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> CoreTable:
        """Read what this or an earlier version's `to_dict` gave. Raises TypeError, KeyError or ValueError otherwise."""
        lists = {name: tuple(raw[name]) for name in ("key", "terms", "hashed")}
        return cls(**{**raw, **lists, "key_terms": tuple(raw.get("key_terms", ()))})
