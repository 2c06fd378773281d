"""Services of the target over HTTP, by name: URLs, certificates and tokens come from the target, never from a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.access import access_to
from opsverify.probes.tls import certificate
from opsverify.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.connection import Connection
    from opsverify.config.model import Service, Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.http import Http, Reply
    from opsverify.probes.record import Record
    from opsverify.probes.tls import Certificate


def secured_parts(target: Target) -> dict[str, Connection]:
    """Every part of a target that is reached over https, by name: its services, its monitoring, its MCP servers."""
    parts: dict[str, Connection] = dict(target.services)
    others: list[tuple[str, Connection | None]] = [
        ("prometheus", target.prometheus),
        ("alertmanager", target.alertmanager),
        ("inbox", target.inbox),
        *((f"mcp.{name}", server) for name, server in target.mcp.items()),
    ]
    for name, part in others:
        if part is not None:
            parts.setdefault(name, part)
    return {name: part for name, part in parts.items() if part.url.startswith("https")}


@dataclass(frozen=True)
class Services:
    """Requests to services of the target, recorded on the check that makes them."""

    target: Target
    secrets: Secrets
    http: Http
    record: Record

    def get(self, name: str, path: str) -> Reply:
        """GET `path` of the service called `name`."""
        return self.request("GET", name, path)

    def request(
        self,
        method: str,
        name: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request. Raises Unreachable without an answer, Inconclusive for a service the target lacks."""
        service = self._named(name)
        options: dict[str, Any] = {
            "headers": headers,
            "access": access_to(service, self.secrets, self.target.proxy),
            "max_body": round(parse_bytes(service.max_body)),
        }
        if json is not None:
            options["json"] = json
        return self.http.recording(self.record).request(method, service.url + path, **options)

    def fastest_s(self, name: str, path: str, first: Reply, attempts: int = 3) -> float:
        """Seconds of the fastest of up to `attempts` answers, `first` being one of them.

        A single pause (garbage collection, another load) does not make a slow service; a slow one is slow each time.
        No more is sent where the first answer is within the limit.
        """
        limit = self._named(name).latency or self.target.limits.service_latency
        fastest = first.elapsed_s
        for _ in range(attempts - 1):
            if limit.holds(fastest):
                break
            fastest = min(fastest, self.get(name, path).elapsed_s)
        return fastest

    def certificate(self, name: str) -> Certificate | None:
        """The TLS certificate of a service, or of another part of the target by its name; None for plain http."""
        part = secured_parts(self.target).get(name) or self._named(name)
        return certificate(part.url, part.ca_file, record=self.record)

    def _named(self, name: str) -> Service:
        if name not in self.target.services:
            known = ", ".join(self.target.services)
            raise Inconclusive(
                say(
                    "no service {name!r} in the target, which has {known}; add [services.{name}]",
                    name=name,
                    known=known,
                )
            )
        return self.target.services[name]
