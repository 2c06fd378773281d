"""Base of the probes: recording elsewhere over the same connections, and closing after a `with` block."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from opsverify.probes.record import Record, discard

if TYPE_CHECKING:
    from opsverify.probes.http import Http

Config = TypeVar("Config")


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


class HttpProbe(Probe, Generic[Config]):
    """A probe of an HTTP API: it sends and records through the HTTP probe, and closes that one's connections."""

    def __init__(self, config: Config, http: Http, bearer: str | None = None) -> None:
        super().__init__()
        self._config = config
        self._http = http
        self._bearer = bearer

    def recording(self, record: Record) -> Self:
        """Share the connections, but record elsewhere."""
        bound = super().recording(record)
        bound._http = self._http.recording(record)  # noqa: SLF001 - our own copy
        return bound

    def close(self) -> None:
        """Close the connections of the HTTP probe; both may be used again."""
        self._http.close()
