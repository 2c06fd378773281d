"""Authority of time stamps (RFC 3161): made with openssl, which also answers behind a small HTTP server.

`day` is the day it believes it is (needs faketime): an authority of last year, whose certificates have ended since.
"""

from __future__ import annotations

import http.server
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.http_double import answering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONFIG: Final = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
[tsa]
default_tsa = here
[here]
dir = .
serial = ./serial
crypto_device = builtin
signer_cert = ./stamps.pem
certs = ./stamps.pem
signer_key = ./stamps.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class TimestampAuthority:
    """Keys and certificates in one folder; `root` is what its users trust."""

    folder: Path
    day: str | None = None

    @classmethod
    def make(cls, folder: Path, *, day: str | None = None, days: int = 3650) -> TimestampAuthority:
        """A new one, with a root of its own; its certificates are valid for so many days."""
        if day is not None and shutil.which("faketime") is None:
            pytest.skip("no faketime on this machine: apt-get install faketime")
        folder.mkdir()
        (folder / "openssl.cnf").write_text(_CONFIG, encoding="utf-8")
        (folder / "serial").write_text("01\n", encoding="utf-8")
        made = cls(folder, day)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "openssl.cnf")
        root = ("-keyout", "root.key", "-out", "root.pem", "-subj", f"/CN=root {folder.name}")
        made.openssl("req", "-x509", *key, *root, "-days", f"{days}", "-extensions", "root")
        made.openssl("req", "-new", *key, "-keyout", "stamps.key", "-out", "stamps.csr", "-subj", "/CN=stamps")
        issued = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "openssl.cnf")
        made.openssl(
            "x509",
            "-req",
            "-in",
            "stamps.csr",
            *issued,
            "-out",
            "stamps.pem",
            "-days",
            f"{days}",
            "-extensions",
            "stamps",
        )
        return made

    @property
    def root(self) -> Path:
        """The certificate by which its stamps are verified."""
        return self.folder / "root.pem"

    def answer(self, query: bytes) -> bytes:
        """The answer to one request."""
        (self.folder / "query").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    def openssl(self, *arguments: str) -> None:
        """Run openssl in the folder, on the day of this authority."""
        # A clock that stands still: certificates are made at the beginning of the day, stamps at noon.
        hour = "12:00:00" if arguments[0] == "ts" else "00:00:00"
        clock = ("env", "TZ=UTC", "faketime", "-f", f"{self.day} {hour}") if self.day else ()
        done = subprocess.run(
            [*clock, "openssl", *arguments], cwd=self.folder, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its URL, for as long as it answers."""
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                asked = self.headers["Content-Type"] == "application/timestamp-query"
                content = authority.answer(query) if asked else b""
                self.send_response(200 if asked else 415)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        with answering(Handler) as url:
            yield f"{url}/tsa"
