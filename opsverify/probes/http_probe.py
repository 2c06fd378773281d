"""HTTP probe of one API: a base for probes that send and record through the shared HTTP connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from opsverify.probes.access import ANONYMOUS, Access
from opsverify.probes.base import Probe

if TYPE_CHECKING:
    from opsverify.probes.http import Http
    from opsverify.probes.record import Record

Config = TypeVar("Config")


class HttpProbe(Probe, Generic[Config]):
    """A probe of an HTTP API: it sends and records through the HTTP probe, and closes that one's connections."""

    def __init__(self, config: Config, http: Http, access: Access = ANONYMOUS) -> None:
        super().__init__()
        self._config = config
        self._http = http
        self._access = access

    def recording(self, record: Record) -> Self:
        """Share the connections, but record elsewhere."""
        bound = super().recording(record)
        bound._http = self._http.recording(record)  # noqa: SLF001 - our own copy
        return bound

    def close(self) -> None:
        """Close the connections of the HTTP probe; both may be used again."""
        self._http.close()
