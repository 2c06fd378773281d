"""Runbook 5-4: every service answers, in time, in the expected version, with a certificate that lasts."""

from opsverify import SERVING, per, runbook, say, secured_parts


@runbook(
    "5-4/service",
    id="health.service",
    stages=SERVING,
    needs=("services",),
    severity="sev1",
    ko="서비스가 정상 응답하는가",
    en="The service answers healthy, in time, in the expected version",
)
@per("name", lambda target: tuple(target.services))
def test_service(check, services, name):
    """A service that is down, degraded, slow or of another version must not serve production."""
    service = check.target.services[name]
    with check.must_answer(say("{name} health endpoint", name=name)):
        reply = services.get(name, service.health)
    for item in services.health_items(name, reply):
        check.expect(item.what, item.found, item.expected)
    check.measure(
        say("latency"), services.fastest_s(name, service.health, reply), service.latency or check.limits.service_latency
    )


@runbook(
    "5-4/service",
    "1-monthly/rights",
    id="health.tls",
    stages=("staging", "daily", "monthly", "post-dr", "switchback"),
    severity="sev2",
    ko="TLS 인증서 유효기간이 충분한가",
    en="Every TLS certificate of the chain is valid for long enough",
)
@per("name", lambda target: tuple(secured_parts(target)), what=say("part with TLS"))
def test_certificate(check, services, name):
    """An expiring certificate, intermediate or root takes the service down on a known day: find it before that day."""
    with check.must_answer(say("TLS of {name}", name=name)):
        found = services.certificate(name)
    for link in found.chain:
        check.measure(say("time left"), link.remaining_s, check.limits.tls_validity, of=link.text)
