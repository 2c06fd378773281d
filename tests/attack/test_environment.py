"""Environment variables of whoever starts a run: none redirects a connection that a target describes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from opsverify.commands import run_command
from opsverify.config.model import McpServer, PrometheusConfig, RedisConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.environment import plain_environment, plain_process, redirects
from opsverify.probes.http import Http
from opsverify.probes.libpq import open_connection, pinned
from opsverify.probes.mcp import Mcp
from opsverify.probes.postgres import Postgres
from opsverify.probes.prometheus import Prometheus
from opsverify.probes.proxy import proxy_of
from opsverify.probes.redis import Redis
from opsverify.probes.tls import certificate
from opsverify.recovery.postgres.tools import tool_environment
from tests.probes.probe_servers import PASSWORD, free_port, tls_server
from tests.support.ending import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.probes.probe_servers import CertificateOf, Cluster, FakeServer, Recorder

LIBPQ = {
    option.envvar.decode(): option.keyword.decode()
    for option in psycopg.pq.Conninfo.get_defaults()
    if option.envvar is not None
}
OTHER = ("PGTZ", "PGDATESTYLE", "PGGEQO", "PGSERVICEFILE", "PGSYSCONFDIR", "PGREALM", "PGLOCALEDIR")
"""Variables of libpq that are no parameters."""
HOSTILE = {"PGOPTIONS": "-c search_path=nowhere -c statement_timeout=1", "PGPORT": "1", "PGSSLMODE": "verify-full"}
PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def _used(cluster: Cluster) -> dict[str, str]:
    with Postgres(cluster.config(), PASSWORD) as probe:
        assert probe.value("SELECT count(*) FROM numbers") == 600
        settings = probe.value("SELECT current_setting('search_path') || current_setting('timezone')")
        connection = probe._session.connection
        assert connection is not None
        used = {option.keyword.decode(): (option.val or b"").decode() for option in connection.pgconn.info}
        return used | {"settings": settings}


@pytest.mark.parametrize("name", [*LIBPQ, *OTHER])
def test_no_variable_of_libpq_has_an_effect(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every parameter that libpq reads from the environment is what it is without that variable."""
    for known in (*LIBPQ, *OTHER):
        monkeypatch.delenv(known, raising=False)
    before = _used(cluster)
    monkeypatch.setenv(name, HOSTILE.get(name, "hostile"))
    assert _used(cluster) == before
    assert os.environ[name] == HOSTILE.get(name, "hostile")


def test_the_host_is_the_targets_or_none(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PGHOSTADDR` does not answer for a host that does not exist (it did, and the stage promoted)."""
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    with (
        Postgres(cluster.config(host="db-prod.invalid"), PASSWORD) as probe,
        pytest.raises(Unreachable, match="db-prod"),
    ):
        probe.rows("SELECT 1")


def test_no_password_but_the_targets(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither `PGPASSWORD` nor a password file logs in where the target names no password."""
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    for name, value in {"PGPASSWORD": PASSWORD, "PGPASSFILE": str(tmp_path / ".pgpass"), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with Postgres(cluster.config()) as probe, pytest.raises(Inconclusive, match="no password"):
        probe.rows("SELECT 1")


def test_what_is_given_is_used(cluster: Cluster) -> None:
    """Pinning overrides nothing that a caller gives, as text or as a keyword."""
    with open_connection(
        f"host=127.0.0.1 port={cluster.port} user=reader password={PASSWORD}", dbname="postgres", options="-c geqo=off"
    ) as connection:
        assert connection.execute("SHOW geqo").fetchone() == ("off",)
    assert pinned()["sslmode"] == "prefer"


def test_sslmode_is_named_where_tls_is_missing(cluster: Cluster) -> None:
    """A server without TLS is not 'down': the message names the key to change."""
    with Postgres(cluster.config(sslmode="require"), PASSWORD) as probe, pytest.raises(Unreachable) as caught:
        probe.rows("SELECT 1")
    assert 'sslmode = "require"' in str(caught.value)
    assert "host and port" not in str(caught.value)


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("client", ["http", "prometheus", "mcp"])
def test_no_proxy_of_the_environment(fake: FakeServer, monkeypatch: pytest.MonkeyPatch, name: str, client: str) -> None:
    """A proxy that answers for a host that does not exist is not even asked."""
    monkeypatch.setenv(name, fake.url)
    fake.routes["http://service.invalid/health"] = (200, {}, "{}")
    with pytest.raises(Unreachable if client != "prometheus" else Inconclusive, match=r"service\.invalid"):
        _ask(client, "http://service.invalid")
    assert fake.seen == []


def _ask(client: str, url: str) -> None:
    if client == "http":
        with Http() as http:
            http.get(f"{url}/health")
    elif client == "prometheus":
        with Prometheus(PrometheusConfig(url=url)) as prometheus:
            prometheus.instant("up")
    else:
        Mcp(McpServer(url=f"{url}/mcp", timeout_s=30.0)).describe()


def test_a_proxy_that_the_target_names_is_in_the_evidence(
    fake: FakeServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `proxy = "environment"` or a URL, the request goes there, and its record says so, without the login."""
    fake.routes["http://service.invalid/health"] = (200, {}, "{}")
    monkeypatch.setenv("HTTP_PROXY", fake.url.replace("//", "//me:planted-password@"))
    for setting in ("environment", fake.url):
        with Http(record=recorder, proxy=setting) as http:
            assert http.get("http://service.invalid/health").status == 200
    assert recorder.text.count(f"through the proxy {fake.url}") == 2
    assert "planted-password" not in recorder.text


def test_no_proxy_of_the_environment_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `proxy = "environment"`, `NO_PROXY` counts as well; this machine is never asked through a proxy."""
    monkeypatch.setenv("HTTP_PROXY", "proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example.com")
    assert proxy_of("http://outside.example.com/", "environment") == "http://proxy.example.com:3128"
    assert proxy_of("http://inside.example.com/", "environment") is None
    assert proxy_of("http://127.0.0.1:1/", "http://proxy.example.com") is None


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_no_authority_of_the_environment(
    certificate_of: CertificateOf, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A certificate of an authority that only a variable trusts is refused by every client that knows TLS."""
    files = certificate_of(86400)
    monkeypatch.setenv(name, str(files[0]))
    with tls_server(files) as server, Http() as http:
        with pytest.raises(Unreachable, match="certificate"):
            http.get(f"{server.url}/health")
        with pytest.raises(Unreachable, match="certificate refused"):
            certificate(server.url)
        with Prometheus(PrometheusConfig(url=server.url)) as prometheus, pytest.raises(Inconclusive):
            prometheus.instant("up")
        port = int(server.url.rpartition(":")[2])
        with (
            Redis(RedisConfig(host="127.0.0.1", port=port, tls=True)) as redis,
            pytest.raises(Unreachable, match="certificate"),
        ):
            redis.ping()


def test_no_netrc(fake: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A login in a .netrc is sent nowhere."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password planted-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    fake.answer("/health", {})
    fake.answer("/api/v1/query", {"status": "success", "data": {"resultType": "vector", "result": []}})
    _ask("http", fake.url)
    _ask("prometheus", fake.url)
    assert len(fake.seen) >= 2
    assert not [headers for _, _, headers, _ in fake.seen if "Authorization" in headers]


def test_tools_of_a_recovery_inherit_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child that is to connect to a restored server sees a variable that would redirect it."""
    for name in (*LIBPQ, *OTHER, *PROXIES, "SSL_CERT_FILE", "REDISCLI_AUTH"):
        monkeypatch.setenv(name, "hostile")
    assert not [name for name in (*tool_environment(), *plain_environment()) if redirects(name)]
    code = "import os; print([name for name, value in os.environ.items() if value == 'hostile'])"
    ran = run_command((sys.executable, "-c", code), DEADLINE_S, None, plain_environment())
    assert ran.output.strip() == "[]"


def test_variables_are_back_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block hides from C libraries is there again afterwards."""
    monkeypatch.setenv("PGHOST", "elsewhere")
    code = "import os; print(os.environ.get('PGHOST'))"
    with plain_process():
        seen = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert seen == b"None\n"
    assert os.environ["PGHOST"] == "elsewhere"


def test_a_service_file_names_no_server(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`PGSERVICE` with a file of its own changes neither host nor database."""
    (tmp_path / "services").write_text(f"[other]\nhost=127.0.0.1\nport={free_port()}\ndbname=other\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "other")
    with Postgres(cluster.config(), PASSWORD) as probe:
        assert probe.value("SELECT current_database()") == "postgres"
