"""Regions: the original one, the DR region that serves after a disaster, and how traffic is switched."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from opsverify.config.database import PostgresConfig  # noqa: TC001 - pydantic reads it
from opsverify.config.section import Duration, Section, Url
from opsverify.language.message import say
from opsverify.units import parse_duration

HIGHEST_PORT = 65535


def _endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
        raise ValueError(say('"{text}" has no port: expected such as "10.0.0.2:22" or "[fd00::2]:22"', text=text))
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class RegionTable(Section):
    """A table whose rows must be the same in both regions.

    `changed` is a column of type timestamptz that is set at every write of a row (at its insert, where rows are
    never updated).
    """

    name: str
    key: tuple[str, ...] = Field(min_length=1)
    changed: str


class Region(Section):
    """One region: the marker of its ingress, its addresses, its database, and ports that must be closed.

    `firewall_drops`: a firewall drops what is sent to closed ports, so that no answer means closed.
    """

    marker: str
    addresses: tuple[str, ...] = Field(min_length=1)
    database: PostgresConfig
    closed: tuple[Endpoint, ...] = ()
    firewall_drops: bool = False


class Regions(Section):
    """How traffic finds a region, and the method of the switchback (runbook 7-2).

    `wal_archive` is the original region's, `dr_wal_archive` the DR region's where that is another folder; tables of
    `left_out` may differ. `url` holds the name that clients use; `resolvers` are name servers as `ADDRESS` or
    `ADDRESS:PORT`.
    """

    url: Url
    resolvers: tuple[str, ...] = Field(min_length=1)
    ttl: Duration
    original: Region
    dr: Region
    marker_header: str = "X-Region"
    status_field: str = "status"
    healthy: str = "ok"
    ca_file: str | None = None
    switchback: Literal["reverse", "dr_as_standby"]
    outage_at: dt.datetime | None = None
    switched_at: dt.datetime | None = None
    wal_archive: str | None = None
    dr_wal_archive: str | None = None
    left_out: tuple[str, ...] = ()
    tables: tuple[RegionTable, ...] = ()

    @property
    def name(self) -> str:
        """The name that clients resolve."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def ttl_s(self) -> float:
        """Seconds for which resolvers and clients may still use the previous address after a switch."""
        return parse_duration(self.ttl)
