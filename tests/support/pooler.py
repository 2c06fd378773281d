"""Pooler in front of a PostgreSQL server: a real PgBouncer, which gives each transaction another server process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.config.project import cache_folder
from sandbox import debian
from tests.probes.probe_servers import PASSWORD, free_port, listens, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.probes.probe_servers import Cluster

_PACKAGES = ("pgbouncer", "libc-ares2", "libevent-2.1-7")
_SETTINGS = """[databases]
postgres = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
server_lifetime = 0
"""


@contextmanager
def pooled(cluster: Cluster, folder: Path, mode: str) -> Iterator[int]:
    """The port of a PgBouncer in front of `cluster`, which pools by `mode`; skips where there is none to be had."""
    program, libraries = _program()
    port = free_port()
    (folder / "users.txt").write_text(f'"reader" "{PASSWORD}"\n', encoding="utf-8")
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(server=cluster.port, port=port, folder=folder, mode=mode), encoding="utf-8")
    argv = [str(program), *(["-u", pwd.getpwuid(cluster.user[0]).pw_name] if cluster.user else []), str(settings)]
    env = os.environ | ({"LD_LIBRARY_PATH": libraries} if libraries else {})
    with running(argv, folder, lambda: listens(port), signal.SIGQUIT, env=env):
        yield port


def _program() -> tuple[Path, str]:
    """The program, and where its libraries are if they are not installed."""
    if found := shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return Path(found), ""
    try:
        trees = [debian.unpacked(package, cache_folder() / "debian", lambda _: None) for package in _PACKAGES]
    except debian.Unavailable as error:
        pytest.skip(f"no PgBouncer: {error}")
    libraries = {str(file.parent) for tree in trees for file in tree.rglob("*.so*")}
    return trees[0] / "usr" / "sbin" / "pgbouncer", ":".join(sorted(libraries))
