"""Services, as `opsverify doctor` finds them: whether the answer is what the target calls healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.doctor_findings import DoctorFinding, attempt
from opsverify.errors import Inconclusive, OpsVerifyError, Unreachable
from opsverify.language.message import say
from opsverify.probes.record import discard
from opsverify.probes.services import Services
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.model import Service, Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.http import Reply

_SHOWN = 80
"""Characters of an answer that are shown: enough to recognize a login page or another service."""


def service_findings(target: Target, secrets: Secrets) -> Iterator[DoctorFinding]:
    """One finding for each service: what `health.service` would find, its latency left out."""
    from opsverify.probes.http import Http  # noqa: PLC0415 - probes are imported when used

    with Http(proxy=target.proxy) as http:
        services = Services(target, secrets, http, discard)
        for name, service in target.services.items():
            yield attempt(f"services.{name}", lambda n=name, s=service: _state(services, n, s))  # type: ignore[misc]


def _state(services: Services, name: str, service: Service) -> str:
    reply = services.get(name, service.health)
    if reply.status != 200:  # noqa: PLR2004 - as the check expects it
        raise OpsVerifyError(
            say(
                "{url}: HTTP {status}, expected 200; correct services.{name}.health, or look after the service",
                url=reply.url,
                status=reply.status,
                name=name,
            )
        )
    if service.healthy_text is not None:
        found = _equal(reply, name, "healthy_text", one_line(reply.text.strip()[:_SHOWN]), service.healthy_text)
    else:
        status = _field(reply, name, "status_field", service.status_field)
        expected = status if status in service.degraded else service.healthy
        found = _equal(reply, name, "healthy", status, expected, service.status_field)
    if service.version is not None:
        version = _field(reply, name, "version_field", service.version_field)
        _equal(reply, name, "version", version, service.version, service.version_field)
    return say("HTTP {status}, {found}", status=reply.status, found=found)


def _field(reply: Reply, name: str, key: str, field: str) -> object:
    try:
        return reply.field(field)
    except Unreachable:
        raise
    except Inconclusive as error:
        text = say(
            "{error}; the key is services.{name}.{key}, for an answer that is no JSON services.{name}.healthy_text",
            error=error,
            name=name,
            key=key,
        )
        raise OpsVerifyError(text) from error


def _equal(reply: Reply, name: str, key: str, found: object, expected: object, field: str = "") -> str:
    """`found` as it is shown. Raises OpsVerifyError where the check would fail, with the key that may be wrong."""
    what = f"{field} {found!r}" if field else repr(found)
    if found != expected:
        raise OpsVerifyError(
            say(
                "{url}: {what}, expected {expected!r}; correct services.{name}.{key}, or look after the service",
                url=reply.url,
                what=what,
                expected=expected,
                name=name,
                key=key,
            )
        )
    return what
