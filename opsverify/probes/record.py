"""How probes hand what they saw to the evidence, without knowing where it goes."""

from __future__ import annotations

from typing import Literal, Protocol

Kind = Literal["text", "json", "csv", "html", "jsonl"]


class Record(Protocol):
    """Keep `body` under `name`; secrets are removed on the way, by value."""

    def __call__(self, name: str, body: str, kind: Kind = "text") -> None:
        """Store one attachment."""


def discard(name: str, body: str, kind: Kind = "text") -> None:
    """Keep nothing: for probing outside a check."""
