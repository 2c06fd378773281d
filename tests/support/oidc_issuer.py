"""OIDC issuer for tests: a local HTTP server with a discovery document and keys, which signs what it is told to."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE: Final = "https://gate.example.com"
CLAIMS: Final = {
    "sub": "repo:acme/judgment:ref:refs/heads/main",
    "repository": "acme/judgment",
    "ref": "refs/heads/main",
}
"""As GitHub Actions names a job on a branch."""
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass
class OidcIssuer:
    """What the server at `url` publishes, and what was read of it."""

    url: str = ""
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    answers: dict[str, bytes] = field(default_factory=dict)
    """By path, instead of what the issuer answers by itself."""
    headers: dict[str, str] = field(default_factory=dict)

    def add(self, key_id: str, size: int = 2048) -> None:
        """A new RSA key."""
        self.keys[key_id] = rsa.generate_private_key(65537, size)

    def add_curve(self, key_id: str, curve: ec.EllipticCurve | None = None) -> None:
        """A new key on a curve."""
        self.keys[key_id] = ec.generate_private_key(curve or ec.SECP256R1())

    def jwks(self) -> bytes:
        """The public keys as a JWK set."""
        return json.dumps({"keys": [_public(key_id, key) for key_id, key in self.keys.items()]}).encode()

    def answer(self, path: str) -> bytes:
        """What is at `path`."""
        discovery = json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}).encode()
        own = {"/jwks": self.jwks(), "/.well-known/openid-configuration": discovery}
        return {**own, **self.answers}[path]

    def claims(self, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """The claims of a token that is valid now; a claim that is None is left out."""
        now = int(time.time())
        valid = {"iss": self.url, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, "jti": str(uuid.uuid4())}
        return {name: value for name, value in {**valid, **CLAIMS, **changed}.items() if value is not None}

    def token(self, key_id: str = "k1", algorithm: str = "RS256", **changed: Any) -> str:  # noqa: ANN401 - JSON
        """A token with these claims, signed with this key."""
        return jwt.encode(self.claims(**changed), self.keys[key_id], algorithm, {"kid": key_id})

    def rule(self, name: str = "github", *, claims: str = 'repository = "acme/judgment"', **changed: str) -> str:
        """A table of the token file for this issuer, with other TOML values where they are given."""
        values = {
            "issuer": f'"{self.url}"', "audience": f'"{AUDIENCE}"', "may": '["run", "read", "hook"]',
            "stages": '["prod-canary", "staging"]', "targets": '["prod"]', **changed,
        }  # fmt: skip
        lines = [f"{key} = {value}" for key, value in values.items()]
        return "\n".join([f'[[oidc]]\nname = "{name}"', *lines, f"[oidc.claims]\n{claims}\n"])


@cache
def _first_key() -> PrivateKey:
    """Made once: 2,048 bits take a noticeable time."""
    return rsa.generate_private_key(65537, 2048)


def _public(key_id: str, key: PrivateKey) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    algorithm = get_default_algorithms()["RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"]
    public: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return {**public, "kid": key_id, "use": "sig"}


@contextmanager
def oidc_issuer() -> Iterator[OidcIssuer]:
    """An issuer with the key `k1` on a free port, until the end of the block."""
    issuer = OidcIssuer()
    issuer.keys["k1"] = _first_key()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            answer = issuer.answer(self.path)
            self.send_response(issuer.status)
            for name, value in {"Content-Length": str(len(answer)), **issuer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
