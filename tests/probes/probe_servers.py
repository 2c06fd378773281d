"""Real servers for the probes: each started once, on a free port, with its data in a temporary folder."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from opsverify.config.database import Login, PostgresConfig
from sandbox import binaries, network, unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "correct-horse-battery"
ROLES = ("reader", "smoker")
PORTS = range(10_000, 17_000)
"""Below those that the kernel chooses from for whoever asks for any port."""


@dataclass
class Recorder:
    """Keeps attachments in memory."""

    kept: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, name: str, body: str, kind: str = "text") -> None:
        """Keep one attachment."""
        self.kept.append((name, body, kind))

    @property
    def text(self) -> str:
        """All bodies together."""
        return "\n".join(body for _, body, _ in self.kept)


@pytest.fixture
def recorder() -> Recorder:
    """Return an empty sink of attachments."""
    return Recorder()


def _in_turn() -> Iterator[int]:
    """Ports of this process, each once before any comes again; other processes begin far away."""
    first = network.own_place(len(PORTS))
    return itertools.cycle([*PORTS[first:], *PORTS[:first]])


_PORTS = _in_turn()


def free_port() -> int:
    """A port that nothing listens on, and that nothing else is given before a server of the test is bound to it."""
    return next(filter(network.is_free, _PORTS))


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll a server that is starting; its log is the message when it dies or stays away."""
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"server did not start: {log.read_text(errors='replace')[-2000:]}")
        threading.Event().wait(0.03)


def listens(port: int) -> bool:
    """Whether something takes connections on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    argv: list[str],
    folder: Path,
    ready: Callable[[], bool],
    stop: signal.Signals = signal.SIGTERM,
    **how: Any,  # noqa: ANN401 - whatever Popen takes
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server process that ends with the block, by the signal `stop`."""
    log = folder / "server.log"
    with log.open("ab") as out:
        options: dict[str, Any] = {"cwd": folder, **how}
        process: subprocess.Popen[bytes] = subprocess.Popen(
            argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options
        )
        try:
            wait_until(ready, process, log)
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class FakeServer:
    """An HTTP server whose routes a test sets: path -> (status, headers, body) or a function."""

    url: str
    routes: dict[str, Any]
    seen: list[tuple[str, str, dict[str, str], str]]

    def answer(self, path: str, body: object, status: int = 200) -> None:
        """Answer `path` with JSON (or with text as it is)."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.routes[path] = (status, {"Content-Type": "application/json"}, text)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def fake_server(context: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """Run a fake server in a thread, with TLS if a context is given."""
    routes: dict[str, Any] = {}
    seen: list[tuple[str, str, dict[str, str], str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            seen.append((self.command, self.path, dict(self.headers), body))
            route = routes.get(self.path.partition("?")[0], (404, {}, "nothing here"))
            if callable(route):
                route(self)
                return
            status, headers, text = route
            raw = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = handle_one  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = _Quiet(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield FakeServer(f"http{'s' if context else ''}://127.0.0.1:{server.server_port}", routes, seen)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """Run a fake HTTP server."""
    with fake_server() as server:
        yield server


class CertificateOf(Protocol):
    """A maker of self-signed certificates."""

    def __call__(self, remaining_s: float, /) -> tuple[Path, Path]:
        """Certificate and key, which end so many seconds from now."""


@pytest.fixture(scope="session")
def certificate_of() -> Iterator[CertificateOf]:
    """Return a maker of self-signed certificates that end so many seconds from now: (certificate, key)."""
    with tempfile.TemporaryDirectory() as folder:

        def make(remaining_s: float) -> tuple[Path, Path]:
            key = ec.generate_private_key(ec.SECP256R1())
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "probe.example.com")])
            end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=remaining_s)
            made = (
                x509.CertificateBuilder()
                .subject_name(name)
                .issuer_name(name)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(end - dt.timedelta(days=90))
                .not_valid_after(end)
                .add_extension(
                    x509.SubjectAlternativeName(
                        [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("probe.example.com")]
                    ),
                    critical=False,
                )
                .sign(key, hashes.SHA256())
            )
            cert_file = Path(folder) / f"{made.serial_number}.pem"
            key_file = cert_file.with_suffix(".key")
            cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
            key_file.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            return cert_file, key_file

        yield make


@contextmanager
def tls_server(files: tuple[Path, Path]) -> Iterator[FakeServer]:
    """Run a fake HTTPS server with this certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with fake_server(context) as server:
        yield server


@dataclass
class Cluster:
    """A PostgreSQL server of the tests."""

    folder: Path
    bin: Path
    port: int
    user: tuple[int, int] | None

    @contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the server."""
        argv = [
            str(self.bin / "postgres"),
            "-D",
            str(self.folder / "data"),
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
        ]
        argv += ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", "archive_mode=on"]
        argv += ["-c", "archive_command=false", "-c", "max_connections=20", "-c", "wal_level=replica"]
        with running(argv, self.folder, self.answers, signal.SIGQUIT, **self.demoted) as process:
            yield process

    @property
    def demoted(self) -> dict[str, Any]:
        """How subprocesses become the cluster's user."""
        return {"user": self.user[0], "group": self.user[1], "extra_groups": []} if self.user else {}

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            self.superuser().close()
        except psycopg.OperationalError:
            return False
        return True

    def superuser(self, **how: Any) -> psycopg.Connection[Any]:  # noqa: ANN401 - whatever psycopg takes
        """Open an autocommit connection that may do anything."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname="postgres", autocommit=True, **how
        )

    def config(self, **changes: object) -> PostgresConfig:
        """Return a target's section for this server, for the role `reader`."""
        values = {
            "host": "127.0.0.1", "port": self.port, "dbname": "postgres", "login": Login(user="reader"),
            "sslmode": "disable", "statement_timeout_s": 60.0, "connect_timeout_s": 60,
        }  # fmt: skip
        return PostgresConfig.model_validate(values | changes)


@pytest.fixture(scope="session")
def stopped_cluster() -> Iterator[Cluster]:
    """Make a cluster that does not run yet."""
    user = unprivileged.identity()
    folder = Path(tempfile.mkdtemp(prefix="opsverify-probes-"))
    try:
        folder.chmod(0o755)
        if user:
            os.chown(folder, *user)
        cluster = Cluster(folder, unprivileged.reachable_bin(binaries.postgres_bin(), user), free_port(), user)
        subprocess.run(
            [
                str(cluster.bin / "initdb"), "-D", str(folder / "data"), "-U", "postgres",
                "--auth-local=trust",
                "--auth-host=scram-sha-256", "--no-sync", "--no-instructions", "--locale=C",
                "--encoding=UTF8",
            ],
            check=True, capture_output=True, cwd=folder, env=os.environ | {"LC_ALL": "C"}, **cluster.demoted,
        )  # fmt: skip
        yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(stopped_cluster: Cluster) -> Iterator[Cluster]:
    """Run PostgreSQL with two roles and one table of synthetic and real rows."""
    with stopped_cluster.server():
        with stopped_cluster.superuser() as connection:
            for role in ROLES:
                connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE TABLE numbers (id int PRIMARY KEY, name text, tag text)")
            connection.execute("INSERT INTO numbers SELECT i, 'n' || i, NULL FROM generate_series(1, 600) i")
            connection.execute("CREATE TABLE children (id int REFERENCES numbers, tag text)")
            connection.execute("GRANT SELECT ON numbers TO reader")
            connection.execute("GRANT SELECT, DELETE ON numbers, children TO smoker")
        yield stopped_cluster
