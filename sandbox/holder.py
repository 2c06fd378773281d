"""Process that keeps one fault in effect: idle connections, a full Redis.

Run by the sandbox as `python -m sandbox.holder FAULT --home HOME --ready FILE`. It makes FILE once the fault is in
effect, and ends on SIGTERM. What it wrote into Redis is removed by the sandbox, however this process ended.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import psycopg

from opsverify.language.message import say
from sandbox.home import Settings, load_settings
from sandbox.postgres import SUPERUSER
from sandbox.processes import wait_until
from sandbox.redis import add_filler, client, evicted, fill

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECTIONS_SHARE = 0.93
_EVICTING_PAUSE_S = 0.05
_FILL_PAUSE_S = 0.1
_CHECK_PAUSE_S = 0.5
_BLOCKED_S = 4.0
_BLOCKED_WITHIN_S = 30.0


def connections(settings: Settings, ready: Callable[[], None]) -> NoReturn:
    """Hold idle connections until 93 % of all slots are taken, whatever others do."""
    watcher = _superuser(settings)
    row = watcher.execute("SELECT current_setting('max_connections')::int").fetchone()
    wanted = int(cast("tuple[int]", row)[0] * _CONNECTIONS_SHARE)
    held: list[psycopg.Connection] = []
    while True:
        row = watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").fetchone()
        missing = wanted - cast("tuple[int]", row)[0]
        held += [
            psycopg.connect(settings.conninfo("judgment_app"), autocommit=True, application_name="leak")
            for _ in range(missing)
        ]
        ready()
        time.sleep(_CHECK_PAUSE_S)


def memory(settings: Settings, ready: Callable[[], None]) -> NoReturn:
    """Fill Redis up to 95 % of its memory limit, and keep it there while the cache grows and shrinks."""
    with client(settings) as redis:
        while True:
            fill(redis)
            ready()
            time.sleep(_FILL_PAUSE_S)  # the holder has no other work: it ends when it is stopped


def evictions(settings: Settings, ready: Callable[[], None]) -> NoReturn:
    """Write into a full Redis all the time, so that each write evicts other keys."""
    with client(settings) as redis:
        fill(redis)
        before = evicted(redis)
        while True:
            add_filler(redis)
            if evicted(redis) > before:
                ready()
                time.sleep(_EVICTING_PAUSE_S)  # a few writes a second are enough to evict


def blocked(settings: Settings, ready: Callable[[], None]) -> NoReturn:
    """Hold a lock in an idle transaction, with a session that waits for it."""
    with _superuser(settings) as holder, _superuser(settings) as waiter, holder.transaction():
        holder.execute("SELECT pg_advisory_xact_lock(4711)")
        waiter.pgconn.send_query(b"SELECT pg_advisory_lock(4711)")  # sent, and not waited for
        with _superuser(settings) as observer:  # the holder itself stays idle
            wait_until(
                lambda: _waited_s(observer) >= _BLOCKED_S, _BLOCKED_WITHIN_S, say("a session to wait for the lock")
            )
        ready()
        while True:
            signal.pause()


def _waited_s(connection: psycopg.Connection) -> float:
    """Seconds that a session has waited for an advisory lock; 0 while none does."""
    row = connection.execute(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(waitstart)), 0)::float8 FROM pg_locks"
        " WHERE locktype = 'advisory' AND NOT granted"
    ).fetchone()
    return float(cast("tuple[float]", row)[0])


def _superuser(settings: Settings) -> psycopg.Connection:
    return psycopg.connect(
        host=str(settings.data_dir / "s"), port=settings.ports["postgres"], user=SUPERUSER, dbname="judgment",
        autocommit=True, application_name="sandbox", options="-c default_transaction_read_only=off",
    )  # fmt: skip


_FAULTS = {
    "postgres_blocked": blocked,
    "postgres_connections": connections,
    "redis_memory": memory,
    "redis_evictions": evictions,
}


def main() -> NoReturn:
    """Keep the fault of the command line up until SIGTERM."""
    parser = argparse.ArgumentParser(prog="sandbox.holder")
    parser.add_argument("fault", choices=_FAULTS)
    parser.add_argument("--home", required=True)
    parser.add_argument("--ready", required=True, type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _FAULTS[arguments.fault](load_settings(arguments.home), arguments.ready.touch)


if __name__ == "__main__":
    main()
