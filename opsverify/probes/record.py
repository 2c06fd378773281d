"""Record: where a probe writes what it sent and received; the evidence, or nothing."""

from __future__ import annotations

from typing import Literal, Protocol

Kind = Literal["text", "json", "csv", "html", "jsonl"]


class Record(Protocol):
    """Keep `body` under `name`; secrets are removed, by value."""

    def __call__(self, name: str, body: str, kind: Kind = "text") -> None:
        """Store one attachment."""


def discard(name: str, body: str, kind: Kind = "text") -> None:
    """Keep nothing: for probing outside a check."""
