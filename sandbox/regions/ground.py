"""Layout of two regions: folders, ports, addresses, and the DNS records."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.home import Settings, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ORIGINAL = "original"
DR = "dr"
REGIONS = (ORIGINAL, DR)
ADDRESSES = {ORIGINAL: "127.0.0.1", DR: "127.0.0.2"}
"""Both are this machine: all of 127/8 is, on Linux."""
NAME = "judgment.region.test"
RESOLVERS = ("resolver-a", "resolver-b")
SERVICES = ("postgres-original", "postgres-dr", "redis", "http", *RESOLVERS, "admin")
"""Offsets from the port base, in this order; nothing listens on `admin`, which is closed to everybody."""
DEFAULT_PORT_BASE = 17450
TTL_S = 1
CACHE_TTL_S = 3600
"""Longer than the regions are proven on: what was cached after the switch has not expired when its row comes."""
_STATE = "regions.json"
_ZONE = "zone.json"


@dataclass(frozen=True)
class Ground:
    """The regions of one home folder; `data_dir` is where the servers keep their data."""

    home: Path
    data_dir: Path
    ports: Mapping[str, int]
    outage_at: datetime | None = None
    switched_at: datetime | None = None
    choice: str = "dr_as_standby"

    def region(self, name: str) -> Settings:
        """The settings of one region's servers, in a home folder of its own; both share secrets and cache."""
        home = self.home / name
        ports = {"postgres": self.ports[f"postgres-{name}"], "redis": self.ports["redis"]}
        return Settings(home, min(self.ports.values()), self.data_dir / name, ports)

    @property
    def tls(self) -> Path:
        """The folder of the authority, and of the certificate of each region's address."""
        return self.home / "tls"

    def certificate(self, region: str) -> Path:
        """Key and certificate that the ingress at a region's address shows, read at every connection."""
        return self.tls / f"{region}.pem"

    def save(self) -> None:
        """Write the state file."""
        content = asdict(self) | {"home": str(self.home), "data_dir": str(self.data_dir)}
        write_atomic(self.home / _STATE, json.dumps(content, indent=2, default=datetime.isoformat) + "\n", mode=0o644)


def load(home: Path) -> Ground:
    """Read the state file; regions that were never brought up are a SandboxError."""
    try:
        content = json.loads((home / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SandboxError(say("no regions in {home}: run 'sandbox regions up' first", home=home)) from error
    moments = {
        name: datetime.fromisoformat(content[name]) if content[name] else None for name in ("outage_at", "switched_at")
    }
    return Ground(
        Path(content["home"]), Path(content["data_dir"]), content["ports"], **moments, choice=content["choice"]
    )


@dataclass(frozen=True)
class Zone:
    """What every resolver answers, and which region each address belongs to, by region name.

    `alternating`: regions whose ingress sends every second GET to the other one.
    """

    resolvers: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(RESOLVERS, ORIGINAL))
    fronts: Mapping[str, str] = field(default_factory=lambda: {name: name for name in REGIONS})
    alternating: Sequence[str] = ()

    def write(self, home: Path) -> None:
        """Replace the zone; the next question is answered by it."""
        write_atomic(home / _ZONE, json.dumps(asdict(self), indent=2) + "\n", mode=0o644)


def read_zone(home: Path) -> Zone:
    """The zone as it is now."""
    return Zone(**json.loads((home / _ZONE).read_text(encoding="utf-8")))
