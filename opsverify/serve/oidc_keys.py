"""Keys of OIDC issuers: read over HTTPS, kept for a while, and read again when a token names one that is not known."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from opsverify.errors import Inconclusive
from opsverify.language.message import Message, as_message, say
from opsverify.probes.access import Access
from opsverify.probes.http import Http
from opsverify.serve.declined import Declined
from opsverify.serve.oidc_rules import is_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.serve.oidc_rules import KeySource

KEPT_S: Final = 900.0
"""A key that its issuer withdrew is valid here for so long at most."""
PAUSE_S: Final = 60.0
"""Between two reads for unknown keys: whoever invents key ids starts no flood of requests."""
DOWN_S: Final = 5.0
"""After a failed read, while no key is known at all."""
TIMEOUT_S: Final = 5.0
LARGEST: Final = 256 << 10
"""Bytes of an issuer's answer."""
SMALLEST_RSA: Final = 2048
_DONE: Final = 200
DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass
class _KeySet:
    """The keys of one issuer by their ids; `fault` says why the last read failed."""

    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    read_at: float = float("-inf")
    next_try: float = float("-inf")
    fault: Message | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class IssuerKeys:
    """The public keys of all issuers. It may be asked by several threads; each issuer is read by one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._sets: dict[KeySource, _KeySet] = {}
        self._lock = threading.Lock()

    def find(self, source: KeySource, key_id: str) -> jwt.PyJWK | None:
        """The key with this id, None where the issuer has none. Raises Declined (503) where that cannot be known."""
        with self._lock:
            known = self._sets.setdefault(source, _KeySet())
        with known.lock:
            now = self.clock()
            if now - known.read_at >= KEPT_S:
                known.keys = {}
            if key_id not in known.keys and now >= known.next_try:
                self._read(known, source, now)
            key = known.keys.get(key_id)
            if key is None and known.fault is not None:
                raise Declined(
                    503,
                    say("issuer {issuer}: keys: {fault}; ask again", issuer=source.issuer, fault=known.fault),
                    {"Retry-After": f"{PAUSE_S if known.keys else DOWN_S:.0f}"},
                )
            return key

    @staticmethod
    def _read(known: _KeySet, source: KeySource, now: float) -> None:
        try:
            known.keys, known.read_at, known.fault = _keys_of(source), now, None
        except Inconclusive as error:
            known.fault = as_message(str(error))
        known.next_try = now + (PAUSE_S if known.keys else DOWN_S)


def _keys_of(source: KeySource) -> dict[str, jwt.PyJWK]:
    """The usable keys that the issuer publishes. Raises Inconclusive where there is no such answer."""
    with Http(timeout_s=TIMEOUT_S) as http:
        url = source.jwks_url or _discovered(http, source)
        listed = _object(http, url, source).get("keys")
    keys: dict[str, jwt.PyJWK] = {}
    for each in listed if isinstance(listed, list) else ():
        key = _usable(each)
        if key is not None and key.key_id is not None:
            keys.setdefault(key.key_id, key)
    if not keys:
        raise Inconclusive(say("{url}: no key for RS256 or ES256", url=url))
    return keys


def _discovered(http: Http, source: KeySource) -> str:
    """Where the issuer says that its keys are."""
    url = source.issuer.rstrip("/") + DISCOVERY
    found = _object(http, url, source)
    if found.get("issuer") != source.issuer:
        raise Inconclusive(say("{url}: is of another issuer", url=url))
    where = found.get("jwks_uri")
    if not isinstance(where, str) or not is_private(where):
        raise Inconclusive(say("{url}: jwks_uri: expected an https URL (http only on loopback)", url=url))
    return where


def _object(http: Http, url: str, source: KeySource) -> dict[str, Any]:
    reply = http.get(url, access=Access(ca_file=source.ca_file, proxy=source.proxy), max_body=LARGEST)
    if reply.status != _DONE:  # no redirect is followed
        raise Inconclusive(say("{url}: status {status}", url=url, status=reply.status))
    try:
        found = reply.json
    except RecursionError as error:
        raise Inconclusive(say("{url}: expected a JSON object", url=url)) from error
    if not isinstance(found, dict):
        raise Inconclusive(say("{url}: expected a JSON object", url=url))
    return found


def _usable(listed: object) -> jwt.PyJWK | None:
    """A key for one of the two algorithms; None for any other, for short ones and for those not made to sign."""
    if not isinstance(listed, dict) or listed.get("use", "sig") != "sig" or not isinstance(listed.get("kid"), str):
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(listed.get("kty")))
    if algorithm is None or listed.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(listed, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    public = key.key
    if isinstance(public, RSAPublicKey):
        return key if public.key_size >= SMALLEST_RSA else None
    return key if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1) else None
