"""Keys of OIDC issuers: read seldom, never taken from elsewhere, and an issuer that does not answer decides nothing."""

from __future__ import annotations

from typing import Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from opsverify.serve.oidc_keys import KEPT_S, LARGEST, PAUSE_S
from tests.support.gate_server import GateProject, LiveGate, served, tokens_text
from tests.support.oidc_issuer import OidcIssuer, oidc_issuer
from tests.support.oidc_jobs import RUN, call, problem


def _moved(gate: LiveGate, seconds: float) -> None:
    """Let the time of the key cache go on."""
    real = gate.gate.jobs.keys.clock
    gate.gate.jobs.keys.clock = lambda: real() + seconds


def _stopped(gate: LiveGate) -> None:
    """Let the time of the key cache stand still."""
    now = gate.gate.jobs.keys.clock()
    gate.gate.jobs.keys.clock = lambda: now


def test_an_unknown_key_is_looked_for_once_a_minute(gate: LiveGate, issuer: OidcIssuer) -> None:
    """Whoever invents key ids makes no requests of it; a known one is valid all the while."""
    _stopped(gate)
    assert call(gate, issuer.token()).status_code == 200
    stranger = OidcIssuer(url=issuer.url)
    for number in range(5):
        stranger.add(f"unknown{number}", 2048)
        assert "does not publish" in problem(call(gate, stranger.token(f"unknown{number}")), 401)
    assert issuer.asked.count("/jwks") == 1
    _moved(gate, PAUSE_S)
    for number in range(5):
        problem(call(gate, stranger.token(f"unknown{number}")), 401)
    assert call(gate, issuer.token()).status_code == 200
    assert issuer.asked.count("/jwks") == 2


def test_a_rotated_key_is_found_and_the_one_before_it_ends(gate: LiveGate, issuer: OidcIssuer) -> None:
    """The new key at the first token after the pause; the old one is no key any more from then on."""
    old = issuer.token()
    assert call(gate, old).status_code == 200
    issuer.add("k2")
    del issuer.keys["k1"]
    _moved(gate, PAUSE_S)
    assert call(gate, issuer.token("k2")).status_code == 200
    problem(call(gate, old), 401)


def test_a_withdrawn_key_ends_by_itself(gate: LiveGate, issuer: OidcIssuer) -> None:
    """Keys are read again after a while, also where no unknown one is named."""
    token = issuer.token()
    assert call(gate, token).status_code == 200
    issuer.add("k2")
    del issuer.keys["k1"]
    _moved(gate, KEPT_S)
    problem(call(gate, token), 401)


def test_an_issuer_that_is_down_decides_nothing(project: GateProject) -> None:
    """503 with Retry-After for every token of it, valid or not; tokens of the file are valid all the while."""
    with oidc_issuer() as gone:
        token, rule = gone.token(), gone.rule()
    (project.folder / "tokens.toml").write_text(f"{tokens_text()}\n{rule}", encoding="utf-8")
    with served(project) as live:
        for _ in range(2):
            answer = call(live, token, "POST", body=RUN)
            assert "issuer" in problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        hook = call(live, token, "POST", "/v1/hooks/argo/prod-canary/prod", {"name": "judgment", "checksum": "c1"})
        problem(hook, 503)
        assert live.call("GET", "/v1/runs").json() == {"runs": []}


def test_known_keys_outlive_a_short_outage(gate: LiveGate, issuer: OidcIssuer) -> None:
    """What is known is valid while it is kept; of an unknown key nothing is said until the issuer is back."""
    assert call(gate, issuer.token()).status_code == 200
    issuer.add("k2")
    issuer.status = 500
    _moved(gate, PAUSE_S)
    problem(call(gate, issuer.token("k2")), 503)
    assert call(gate, issuer.token()).status_code == 200
    _moved(gate, KEPT_S)
    problem(call(gate, issuer.token()), 503)
    issuer.status = 200
    _moved(gate, PAUSE_S)
    assert call(gate, issuer.token("k2")).status_code == 200


DISCOVERY: Final = "/.well-known/openid-configuration"
ANSWERS: Final[dict[str, tuple[str, bytes]]] = {
    "another issuer": (DISCOVERY, b'{"issuer": "https://evil.example.com", "jwks_uri": "https://evil.example.com/jwks"}'),
    "keys over plain HTTP": (DISCOVERY, b'{"issuer": "ISSUER", "jwks_uri": "http://192.0.2.1/jwks"}'),
    "keys in a file": (DISCOVERY, b'{"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"}'),
    "no address of a host": (DISCOVERY, b'{"issuer": "ISSUER", "jwks_uri": "https://["}'),
    "no keys named": (DISCOVERY, b'{"issuer": "ISSUER"}'),
    "list": (DISCOVERY, b"[]"),
    "deep": ("/jwks", b"[" * 100_000),
    "page": ("/jwks", b"<html>maintenance</html>"),
    "too large": ("/jwks", b'{"keys": [' + b" " * LARGEST + b"]}"),
    "no keys": ("/jwks", b'{"keys": []}'),
    "keys that are none": ("/jwks", b'{"keys": [5, {}, {"kid": "k1"}, {"kid": "k1", "kty": "RSA", "n": "!"}]}'),
    "symmetric key": ("/jwks", b'{"keys": [{"kid": "k1", "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]}'),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none_is_an_outage(gate: LiveGate, issuer: OidcIssuer, name: str) -> None:
    """A page, another issuer's document, keys over plain HTTP, or none at all: 503."""
    path, answer = ANSWERS[name]
    issuer.answers[path] = answer.replace(b"ISSUER", issuer.url.encode())
    problem(call(gate, issuer.token()), 503)


def test_a_redirect_is_not_followed(gate: LiveGate, issuer: OidcIssuer) -> None:
    """Wherever it leads to."""
    issuer.status, issuer.headers = 302, {"Location": f"{issuer.url}/elsewhere"}
    assert "302" in problem(call(gate, issuer.token()), 503)
    assert issuer.asked == [DISCOVERY]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_weak_keys_are_none(gate: LiveGate, issuer: OidcIssuer) -> None:
    """A short RSA key, and a curve that ES256 does not have."""
    issuer.add("short", 1024)
    issuer.add_curve("large", ec.SECP384R1())
    problem(call(gate, jwt.encode(issuer.claims(), issuer.keys["short"], "RS256", {"kid": "short"})), 401)
    header, claims = {"kid": "large"}, issuer.claims()
    problem(call(gate, jwt.encode(claims, issuer.keys["large"], "ES384", header)), 401)
