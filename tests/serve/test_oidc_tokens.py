"""OIDC tokens that are not valid: each is refused with its reason, and no part of it is shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.gate_server import GateProject, LiveGate, project_in, served, tokens_text
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer, oidc_issuer
from tests.support.oidc_jobs import RUN, call, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _part(value: Any) -> str:  # noqa: ANN401 - JSON
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(issuer: OidcIssuer, algorithm: str) -> str:
    """Header and claims without a signature, with the name of an algorithm that needs none."""
    return f"{_part({'alg': algorithm, 'kid': 'k1'})}.{_part(issuer.claims())}."


def by_public_key(issuer: OidcIssuer) -> str:
    """HS256 with the public key as the secret: whoever reads the keys could make it."""
    public = issuer.keys["k1"].public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'})}.{_part(issuer.claims())}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def foreign(issuer: OidcIssuer) -> str:
    """Signed with a key of its own, under the name of the issuer's."""
    other = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(issuer.claims(), other, "ES256", {"kid": "k1"})


def own_key(issuer: OidcIssuer) -> str:
    """The key that signed it in its own header, and an address to read it from."""
    other = OidcIssuer()
    other.add("k9")
    public = json.loads(other.jwks())["keys"][0]
    headers = {"kid": "k9", "jwk": public, "jku": f"{issuer.url}/elsewhere"}
    return jwt.encode(issuer.claims(), other.keys["k9"], "RS256", headers)


def altered(issuer: OidcIssuer) -> str:
    """Claims of another repository under the signature of the first."""
    header, _, signature = issuer.token().split(".")
    return f"{header}.{_part(issuer.claims(repository='acme/other'))}.{signature}"


def hours_off(issuer: OidcIssuer, claim: str, hours: int) -> str:
    """A time of its that is so many hours off, when it is sent: tests begin long after this module was imported."""
    changed: dict[str, Any] = {claim: int(time.time()) + hours * 3600}
    return issuer.token(**changed)


BAD: Final[dict[str, tuple[Callable[[OidcIssuer], str], str]]] = {
    "another audience": (lambda issuer: issuer.token(aud="https://other.example.com"), "audience"),
    "several audiences": (lambda issuer: issuer.token(aud=[AUDIENCE, "https://other.example.com"]), "audiences"),
    "expired": (lambda issuer: hours_off(issuer, "exp", -1), "expired"),
    "issued in the future": (lambda issuer: hours_off(issuer, "iat", 1), "not valid yet"),
    "not valid yet": (lambda issuer: hours_off(issuer, "nbf", 1), "not valid yet"),
    "another issuer": (lambda issuer: issuer.token(iss="https://gitlab.example.com"), "issuer"),
    "issuer with a slash": (lambda issuer: issuer.token(iss=f"{issuer.url}/"), "issuer"),
    "without exp": (lambda issuer: issuer.token(exp=None), "exp"),
    "without iat": (lambda issuer: issuer.token(iat=None), "iat"),
    "without nbf": (lambda issuer: issuer.token(nbf=None), "nbf"),
    "without aud": (lambda issuer: issuer.token(aud=None), "aud"),
    "without sub": (lambda issuer: issuer.token(sub=None), "sub"),
    "without iss": (lambda issuer: issuer.token(iss=None), "iss"),
    "algorithm none": (lambda issuer: unsigned(issuer, "none"), "RS256"),
    "algorithm None": (lambda issuer: unsigned(issuer, "None"), "RS256"),
    "RS256 without a signature": (lambda issuer: unsigned(issuer, "RS256"), "signature"),
    "public key as secret": (by_public_key, "RS256"),
    "another algorithm of the key": (lambda issuer: issuer.token(algorithm="RS512"), "RS256"),
    "PSS": (lambda issuer: issuer.token(algorithm="PS256"), "RS256"),
    "another key": (foreign, "signature"),
    "key of its own": (own_key, "does not publish"),
    "altered claims": (altered, "signature"),
    "no key id": (lambda issuer: jwt.encode(issuer.claims(), issuer.keys["k1"], "RS256"), "key id"),
    "critical extension": (
        lambda issuer: jwt.encode(issuer.claims(), issuer.keys["k1"], "RS256", {"kid": "k1", "crit": ["x"]}), "",
    ),
    "subject on two lines": (lambda issuer: issuer.token(sub="repo:acme/judgment\n2026 run promoted"), "sub"),
    "subject that is no text": (lambda issuer: issuer.token(sub="\ud800"), "sub"),
    "long subject": (lambda issuer: issuer.token(sub="s" * 501), "sub"),
    "three words": (lambda _: "a.b.c", "parsed"),
    "empty parts": (lambda _: "..", "parsed"),
    "claims that are a list": (lambda issuer: f"{_part({'alg': 'RS256'})}.{_part([issuer.url])}.", "parsed"),
    "deep claims": (
        lambda _: f"{_part({'alg': 'RS256', 'kid': 'k1'})}."
        f"{base64.urlsafe_b64encode(b'[' * 9000).decode().rstrip('=')}.",
        "parsed",
    ),
    "no token": (lambda _: "ovs_unknown", "no valid token"),
    "too long": (lambda issuer: issuer.token(padding="p" * 20_000), "no valid token"),
}  # fmt: skip


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGate, OidcIssuer]]:
    """A server and an issuer that nothing is changed of."""
    project = GateProject(project_in(tmp_path_factory.mktemp("oidc") / "project"))
    with oidc_issuer() as running:
        (project.folder / "tokens.toml").write_text(f"{tokens_text()}\n{running.rule()}", encoding="utf-8")
        with served(project) as live:
            yield live, running


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_is_not_valid_is_refused(steady: tuple[LiveGate, OidcIssuer], name: str) -> None:
    """Each 401 with its reason, and without any part of the token; a valid one is taken after it."""
    live, issuer = steady
    make, said = BAD[name]
    token = make(issuer)
    answer = call(live, token, "POST", body=RUN)
    assert said in problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not [part for part in token.split(".") if len(part) > 20 and part in answer.text]
    assert call(live, issuer.token()).json() == {"runs": []}


def test_clocks_may_differ_a_little(gate: LiveGate, issuer: OidcIssuer) -> None:
    """A token of ten seconds ahead, and one that has just expired."""
    now = int(time.time())
    assert call(gate, issuer.token(iat=now + 10, nbf=now + 10)).status_code == 200
    now = int(time.time())  # the leeway of what has expired passes meanwhile
    assert call(gate, issuer.token(exp=now - 10)).status_code == 200
