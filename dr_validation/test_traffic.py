"""Runbook 5-4 and 7-3: after a switch, clients are sent to the region that has to serve, and it serves them.

In `switchback` that is the original region, in `post-dr` the DR region.
"""

from functools import partial

from opsverify import NONE, Inconclusive, Limit, listed, per, runbook, say
from opsverify.switchback.described import elapsed_s, resolvers
from opsverify.units import duration

AFTER_SWITCH = partial(
    runbook, "7-3/traffic", "5-4/service", stages=("post-dr", "switchback"), needs=("regions",), severity="sev1"
)
FIX = say(" (correct the record, or flush this resolver's cache)")


@AFTER_SWITCH(
    id="traffic.dns",
    ko="DNS가 서비스해야 할 리전의 주소만 답하는가",
    en="The resolver answers with addresses of the region that has to serve, and no other",
)
@per("resolver", resolvers, what=say("resolver"))
def test_dns(check, regions, resolver):
    """A resolver that still caches the old record sends its clients to a region that must not serve."""
    found = regions.resolve(resolver)
    check.measure(
        say("addresses"),
        len(found.addresses),
        Limit(">=", 1, "count"),
        of=say("addresses of {name}", name=regions.config.name),
    )
    wrong = [regions.owner_of(address) for address in found.addresses if address not in regions.expected.addresses]
    of = say("addresses of another region")
    check.measure(
        say("wrong addresses"),
        len(wrong),
        NONE,
        of=listed(of + FIX if wrong else of, wrong),
    )
    if found.ttl_s is not None:
        limit = Limit("<=", regions.config.ttl_s, "s")
        check.measure(say("time to live"), found.ttl_s, limit)
        check.measure(
            say("longest time to live"),
            found.longest_ttl_s,
            limit,
            of=say("of {chain_text}", chain_text=found.chain_text),
        )


@AFTER_SWITCH(
    id="traffic.ttl",
    ko="전환 후 이전 DNS 레코드의 TTL이 지났는가",
    en="The old record's time to live is over since the switch",
)
def test_ttl(check, regions):
    """Until then a client may use the old address within the record's time to live."""
    elapsed, ttl = elapsed_s(regions.switched_at), regions.config.ttl_s
    if elapsed < ttl:
        raise Inconclusive(
            say(
                "switched {elapsed} ago, and resolvers may keep the old address for {ttl}: rerun in {ttl_2}",
                elapsed=duration(round(elapsed)),
                ttl=duration(ttl),
                ttl_2=duration(round(ttl - elapsed) + 1),
            )
        )
    check.measure(say("since the switch"), elapsed, Limit(">=", ttl, "s"))


@AFTER_SWITCH(
    id="traffic.marker",
    ko="이름으로 들어간 요청에 기대한 리전이 응답하는가",
    en="A request to the name is answered by the expected region",
)
def test_marker(check, regions):
    """A right address whose ingress forwards to the other region has not switched traffic."""
    config = regions.config
    sent_to = {address: name for name in config.resolvers for address in regions.resolve(name).addresses}
    if not sent_to:
        raise Inconclusive(say("no resolver returns an address of {name}: no request sent", name=config.name))
    for address, resolver in sorted(sent_to.items()):
        with check.must_answer(say("{address}, where {resolver} sends clients", address=address, resolver=resolver)):
            replies = regions.answers_at(address)
        statuses = sorted({str(reply.status) for reply in replies})
        markers = sorted({str(reply.headers.get(config.marker_header)) for reply in replies})
        asked = say("at {address} in {requests} requests", address=address, requests=len(replies))
        check.expect(say("HTTP status {asked}", asked=asked), ", ".join(statuses), "200")
        check.expect(
            say("{marker_header} {asked}", marker_header=config.marker_header, asked=asked),
            ", ".join(markers),
            regions.expected.marker,
        )
