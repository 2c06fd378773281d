"""Services, as `opsverify doctor` finds them: whether the answer is what the target calls healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.doctor_findings import DoctorFinding, attempt
from opsverify.errors import Inconclusive, OpsVerifyError
from opsverify.language.message import say
from opsverify.probes.record import discard
from opsverify.probes.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.model import Service, Target
    from opsverify.config.secrets import Secrets
    from opsverify.language.message import Message
    from opsverify.probes.http import Reply
    from opsverify.probes.services import HealthItem

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
    found = {item.key: _healthy(item, name, reply.url) for item in _items(services, name, reply)}
    return say("HTTP {status}, {found}", status=reply.status, found=found.get("healthy", found.get("healthy_text")))


def _items(services: Services, name: str, reply: Reply) -> Iterator[HealthItem]:
    """What the check compares, too. Raises OpsVerifyError, naming the key, where the answer has no such field."""
    key = "status_field"
    try:
        for item in services.health_items(name, reply):
            yield item
            key = "status_field" if item.key == "health" else "version_field"
    except Inconclusive as error:
        text = say(
            "{error}; the key is services.{name}.{key}, for an answer that is no JSON services.{name}.healthy_text",
            error=error,
            name=name,
            key=key,
        )
        raise OpsVerifyError(text) from error


def _healthy(item: HealthItem, name: str, url: str) -> Message:
    """What was found, as it is shown. Raises OpsVerifyError where the check would fail, with the key of the target."""
    found = item.found[:_SHOWN] if isinstance(item.found, str) else item.found
    what = say("{what} {found!r}", what=item.what, found=found)
    if item.found != item.expected:
        raise OpsVerifyError(
            say(
                "{url}: {what}, expected {expected!r}; correct services.{name}.{key}, or look after the service",
                url=url,
                what=what,
                expected=item.expected,
                name=name,
                key=item.key,
            )
        )
    return what
