"""Base of the probes: recording elsewhere over the same connections, and closing after a `with` block."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Self

from opsverify.probes.record import Record, discard


class Probe(ABC):
    """A source of measurements; `record` receives what it sent and received."""

    def __init__(self, record: Record = discard) -> None:
        self._record = record

    def recording(self, record: Record) -> Self:
        """Share the connections, but record elsewhere."""
        bound = copy.copy(self)
        bound._record = record  # noqa: SLF001 - our own copy
        return bound

    @abstractmethod
    def close(self) -> None:
        """Close the connections; the probe may be used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
