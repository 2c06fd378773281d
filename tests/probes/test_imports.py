"""Imports: what they cost, and which module imports which client library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import opsverify

CLIENTS = {
    "httpx": {"probes/http.py", "probes/http_client.py", "probes/http_transport.py"},
    "psycopg": {
        "probes/libpq.py",
        "probes/postgres.py",
        "probes/postgres_connection.py",
        "probes/cleanup.py",
        "recovery/postgres/session.py",
        "recovery/rpo/heartbeat_writer.py",
    },
    "redis": {"probes/redis.py", "probes/redis_nodes.py"},
    "prometheus_api_client": {"probes/prometheus.py"},
    "requests": {"probes/prometheus.py", "probes/prometheus_body.py", "probes/prometheus_session.py"},
    "mcp": {"probes/mcp.py"},
    "dns": {"probes/dns.py"},
}
PACKAGE = Path(opsverify.__file__).parent


def test_the_package_imports_no_client() -> None:
    """Planning must not pay for clients it does not use; the MCP SDK waits for its first question."""
    code = "import sys, opsverify, opsverify.probes.mcp, opsverify.probes.eventually; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not CLIENTS.keys() & set(done.stdout.split())


def test_one_module_knows_each_client() -> None:
    """Each client library is imported where its probe is, and nowhere else in the package."""
    users: dict[str, set[str]] = {name: set() for name in CLIENTS}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                if name.partition(".")[0] in users:
                    users[name.partition(".")[0]].add(str(path.relative_to(PACKAGE)))
    assert users == CLIENTS
