"""Services of the target over HTTP, by name: URLs, certificates and tokens come from the target, never from a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.database import PostgresConfig
from opsverify.config.model import RedisConfig
from opsverify.errors import NotDescribed
from opsverify.language.message import say
from opsverify.probes.access import access_to
from opsverify.probes.tls import certificate, sent_certificate
from opsverify.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.config.connection import Connection
    from opsverify.config.model import Service, Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.http import Http, Reply
    from opsverify.probes.record import Record
    from opsverify.probes.tls import Certificate

_WITHOUT_TLS: Final = ("disable", "allow", "prefer")


def secured_parts(target: Target) -> dict[str, Connection | PostgresConfig | RedisConfig]:
    """Every part of a target that is reached over TLS, by name.

    Its services, monitoring and MCP servers over https; PostgreSQL and its nodes where `sslmode` asks for TLS; Redis.
    """
    return {**_over_https(target), **_databases(target), **_caches(target)}


def _over_https(target: Target) -> dict[str, Connection]:
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


def _databases(target: Target) -> dict[str, PostgresConfig]:
    config = target.postgres
    if config is None or config.sslmode in _WITHOUT_TLS:
        return {}
    parts = {"postgres": config} | {f"postgres.{node.name}": config.of_node(node) for node in config.nodes}
    return {name: part for name, part in parts.items() if not part.host.startswith("/")}  # a socket has no TLS


def _caches(target: Target) -> dict[str, RedisConfig]:
    config = target.redis
    return {"redis": config} if config is not None and config.tls and config.host is not None else {}


@dataclass(frozen=True)
class HealthItem:
    """One thing that a health answer has to be: `key` is that of the service's table which says so."""

    key: str
    what: str
    found: object
    expected: object


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

    def health_items(self, name: str, reply: Reply) -> Iterator[HealthItem]:
        """What the health answer of a service has to be, item by item. Raises Inconclusive where it has no such field.

        During an incident a part may be away (`degraded`); what the platform does without it is what its playbook
        measures.
        """
        service = self._named(name)
        yield HealthItem("health", say("HTTP status"), reply.status, 200)
        if service.healthy_text is not None:
            yield HealthItem("healthy_text", say("body"), reply.text.strip(), service.healthy_text)
        else:
            status = reply.field(service.status_field)
            expected = status if status in service.degraded else service.healthy
            yield HealthItem("healthy", service.status_field, status, expected)
        if service.version is not None:
            yield HealthItem("version", service.version_field, reply.field(service.version_field), service.version)

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
        if isinstance(part, PostgresConfig | RedisConfig):
            of_postgres = isinstance(part, PostgresConfig)
            return sent_certificate(str(part.host), part.port, self.record, postgres=of_postgres)
        return certificate(part.url, part.ca_file, record=self.record)

    def _named(self, name: str) -> Service:
        if name not in self.target.services:
            known = ", ".join(self.target.services)
            raise NotDescribed(
                say(
                    "no service {name!r} in the target, which has {known}; add [services.{name}]",
                    name=name,
                    known=known,
                )
            )
        return self.target.services[name]
