"""Certificates of PostgreSQL and of a TLS port such as Redis has: every one that is sent, with its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.config.database import PostgresNode
from opsverify.config.model import RedisConfig
from opsverify.errors import Unreachable
from opsverify.probes.http import Http
from opsverify.probes.services import Services, secured_parts
from opsverify.probes.tls import sent_certificate
from sandbox import unprivileged
from tests.probes.probe_servers import free_port, listens, running, tls_server
from tests.support.chains import chain_in
from tests.support.target_file import target_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from tests.probes.probe_servers import Cluster, Recorder

DAYS = {"root": 300.0, "issuing": 3.0, "leaf": 89.0}
"""Only the leaf was renewed: the intermediate ends first."""


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[int]:
    """The port of a PostgreSQL with TLS: Debian's own, since the packaged one is built without."""
    programs = next(
        (folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()), None
    )
    if programs is None:
        pytest.skip("no PostgreSQL that is built with TLS: apt-get install postgresql")
    user, port = unprivileged.identity(), free_port()
    how: dict[str, Any] = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    sent, key, _ = chain_in(tmp_path, DAYS)
    with tempfile.TemporaryDirectory(prefix="opsverify-tls-") as name:
        folder = Path(name)
        files = [Path(shutil.copy(sent, folder / "sent.pem")), Path(shutil.copy(key, folder / "leaf.key"))]
        for path in (folder, *files):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if user:
                os.chown(path, *user)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "postgres", "--no-sync", "--locale=C"],
            check=True, capture_output=True, cwd=folder, timeout=120, **how,
        )  # fmt: skip
        argv = [
            str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "ssl=on",
            "-c", f"ssl_cert_file={folder}/sent.pem", "-c", f"ssl_key_file={folder}/leaf.key",
        ]  # fmt: skip
        with running(argv, folder, lambda: listens(port), signal.SIGQUIT, **how):
            yield port


def services_of(target: Target, recorder: Recorder) -> Services:
    """Services of a target without secrets."""
    no_secrets: Secrets = None  # type: ignore[assignment]  # no certificate needs one
    return Services(target, no_secrets, Http(), recorder)


def test_every_certificate_that_postgresql_sends(
    encrypted: int, cluster: Cluster, tmp_path: Path, recorder: Recorder
) -> None:
    """TLS is asked for as libpq asks; the intermediate that ends first is among what is read; so on a node."""
    node = PostgresNode(name="b", host="127.0.0.1", port=encrypted)
    config = cluster.config(sslmode="require", port=encrypted, nodes=(node,))
    target = target_in(tmp_path).model_copy(update={"postgres": config})
    assert list(secured_parts(target)) == ["postgres", "postgres.b"]
    for name in secured_parts(target):
        found = services_of(target, recorder).certificate(name)
        assert found is not None
        left = {link.subject: round(link.remaining_s / 86400, 1) for link in found.chain}
        assert left == {"CN=leaf": 89.0, "CN=issuing": 3.0}
    assert f"127.0.0.1:{encrypted}" in recorder.kept[0][0]


def test_postgresql_without_tls_is_named(cluster: Cluster) -> None:
    """The target asks for TLS, and the server offers none: what to change, in one line."""
    with pytest.raises(Unreachable, match=r"PostgreSQL offers none; set ssl = on there, or sslmode"):
        sent_certificate("127.0.0.1", cluster.port, postgres=True, timeout_s=60)
    with pytest.raises(Unreachable, match="no connection"):
        sent_certificate("127.0.0.1", free_port())


def test_every_certificate_of_a_tls_port(tmp_path: Path, recorder: Recorder) -> None:
    """As Redis has it, where nothing is asked first; the packaged Redis has no TLS, and any TLS port will do."""
    sent, key, _ = chain_in(tmp_path, DAYS)
    with tls_server((sent, key)) as server:
        port = int(server.url.rpartition(":")[2])
        target = target_in(tmp_path).model_copy(update={"redis": RedisConfig(host="127.0.0.1", port=port, tls=True)})
        found = services_of(target, recorder).certificate("redis")
    assert found is not None
    assert [link.subject for link in found.chain] == ["CN=leaf", "CN=issuing"]


@pytest.mark.parametrize(
    ("sslmode", "host", "secured"),
    [("disable", "db", False), ("prefer", "db", False), ("require", "db", True), ("verify-full", "db", True),
     ("require", "/run/postgresql", False)],
)  # fmt: skip
def test_which_databases_are_reached_over_tls(
    cluster: Cluster, tmp_path: Path, sslmode: str, host: str, *, secured: bool
) -> None:
    """Where `sslmode` insists on it, and not over a socket."""
    target = target_in(tmp_path).model_copy(update={"postgres": cluster.config(sslmode=sslmode, host=host)})
    assert ("postgres" in secured_parts(target)) is secured
