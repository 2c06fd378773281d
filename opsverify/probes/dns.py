"""DNS probe: names queried from one resolver at a time, through dnspython; this machine's own resolver is not used."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from opsverify.errors import Inconclusive, Peer, Unreachable
from opsverify.language.message import say
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT: Final = 53
_ADDRESSES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)
_ANSWERED: Final = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Answer of a resolver: addresses (sorted; none for an unknown name), seconds left to live.

    `ttl_s` is the smallest on the way to the addresses (RFC 2181, 5.2); None without addresses. `chain` has each name
    on the way, aliases first, with its seconds to live.
    """

    resolver: str
    addresses: tuple[str, ...]
    ttl_s: int | None
    chain: tuple[tuple[str, int], ...] = ()

    @property
    def longest_ttl_s(self) -> int | None:
        """Seconds after which no cache has any part of this answer; None without addresses."""
        return max((ttl for _, ttl in self.chain), default=self.ttl_s) if self.addresses else None

    @property
    def chain_text(self) -> str:
        """Every name with its seconds to live."""
        return " -> ".join(f"{name} ({ttl} s)" for name, ttl in self.chain)


def resolve(name: str, resolver: str, timeout_s: float = 3.0, record: Record = discard) -> Resolved:
    """Query `resolver` (`10.0.0.2`, `10.0.0.2:5300`, `[fd00::2]:53`) for the addresses of `name`, of both families.

    Over UDP, and over TCP where the answer does not fit. Raises Unreachable when it does not answer in time,
    Inconclusive when it refuses, fails, or is not named by an address.
    """
    host, port = _where(resolver)
    addresses: set[str] = set()
    ttls: list[int] = []
    chain: dict[tuple[str, int], None] = {}
    answers = []
    for kind in _ADDRESSES:
        answer = _query(name, kind, resolver, (host, port), timeout_s)
        answers.append(answer.to_text())
        for found, ttl, owner in _records(answer):
            addresses |= found
            ttls.append(ttl)
            chain[owner, ttl] = None
    record(f"DNS {name} from {resolver}", "\n\n".join(answers))
    return Resolved(resolver, tuple(sorted(addresses)), min(ttls) if addresses else None, tuple(chain))


def _query(
    name: str, kind: dns.rdatatype.RdataType, resolver: str, where: tuple[str, int], timeout_s: float
) -> dns.message.Message:
    try:
        query = dns.message.make_query(name, kind)
        answer, _ = dns.query.udp_with_fallback(query, where[0], timeout_s, port=where[1])
    except dns.exception.Timeout as error:
        raise Unreachable(
            say(
                "resolver {resolver}: no answer for {name} within {timeout_s:g} s; check that it is up "
                "and its port open",
                resolver=resolver,
                name=name,
                timeout_s=timeout_s,
            ),
            by_clock=True,
            peers=[Peer(*where)],
        ) from error
    except OSError as error:
        raise Unreachable(
            say(
                "resolver {resolver}: no answer for {name} ({error}); check that it is up",
                resolver=resolver,
                name=name,
                error=one_line(error),
            ),
            peers=[Peer(*where)],
        ) from error
    except dns.exception.DNSException as error:
        raise Inconclusive(
            say(
                "resolver {resolver}: answer for {name} could not be parsed ({error}); query another resolver",
                resolver=resolver,
                name=name,
                error=one_line(error),
            )
        ) from error
    code = answer.rcode()
    if code not in _ANSWERED:
        status = dns.rcode.to_text(code)
        raise Inconclusive(
            say(
                "resolver {resolver}: {status} for {name}; check its log, or query another resolver",
                resolver=resolver,
                status=status,
                name=name,
            )
        )
    return answer


def _records(answer: dns.message.Message) -> Iterator[tuple[set[str], int, str]]:
    """Addresses (none for an alias on the way), seconds to live and name of each record set of the answer."""
    for rrset in answer.answer:
        found = {item.address for item in rrset} if rrset.rdtype in _ADDRESSES else set()
        yield found, rrset.ttl, rrset.name.to_text(omit_final_dot=True)


def _where(resolver: str) -> tuple[str, int]:
    host, port = resolver, PORT
    if resolver.startswith("[") or resolver.count(":") == 1:
        host, _, after = resolver.rpartition(":") if not resolver.endswith("]") else (resolver, "", "")
        port = int(after) if after.isdecimal() else PORT
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise Inconclusive(
            say("resolver {resolver!r} is not an address: expected such as 10.0.0.2 or 10.0.0.2:53", resolver=resolver)
        ) from error
    return host, port
