"""Faults that stop a component, or disturb it from a process of their own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sandbox import backup_faults
from sandbox.home import REPOSITORY
from sandbox.processes import died, wait_until
from sandbox.redis import client, remove_fillers

if TYPE_CHECKING:
    from redis import Redis

    from sandbox.parts import Parts

STOPS = {
    "postgres_down": "postgres",
    "redis_down": "redis",
    "prometheus_down": "prometheus",
    "alertmanager_down": "alertmanager",
    "target_down": "",  # the track that is the scope
}
_RESTARTS = {"cache_not_cleared": "postgres"}
_FILL_REDIS = ("redis_memory", "redis_evictions")
_HOLDERS = ("postgres_connections", *_FILL_REDIS)
_AGELESS = "judgment:ageless"
_HOLDER_DEADLINE_S = 60


def stopped_component(name: str, scope: str) -> str:
    """Return the component that the fault `name` stops."""
    return STOPS[name] or scope


def _switch_persistence(redis: Redis, *, on: bool) -> None:
    redis.config_set("appendonly", "no" if on else "yes")


def _keep_for_ever(redis: Redis, *, on: bool) -> None:
    if on:
        redis.set(_AGELESS, "of an earlier version")
    else:
        redis.delete(_AGELESS)


_OF_REDIS = {"redis_persistence_broken": _switch_persistence, "cache_ageless": _keep_for_ever}
"""Faults inside Redis, by which function they are carried out."""


def carry_out(parts: Parts, name: str, scope: str, *, on: bool) -> None:
    """Switch a fault of kind `process`."""
    if name in STOPS:
        component = stopped_component(name, scope)
        if on:
            parts.take_down(component)
        else:
            parts.bring_up(component)
    elif name in _RESTARTS:
        if on:
            parts.take_down(_RESTARTS[name])
            parts.bring_up(_RESTARTS[name])
    elif name in _HOLDERS:
        _hold(parts, name, on=on)
    elif name in _OF_REDIS:
        with client(parts.settings) as redis:
            _OF_REDIS[name](redis, on=on)
    elif name == "prometheus_rules_missing":
        parts.monitoring.set_rules(present=not on)
    elif name in backup_faults.DAMAGES:
        backup_faults.carry_out(parts.cluster, name, on=on)


def _hold(parts: Parts, name: str, *, on: bool) -> None:
    if on:
        _start_holder(parts, name)
        return
    parts.table.stop([_holder(name)], deadline_s=5.0)
    if name in _FILL_REDIS:
        # Here and not in the holder: one that was killed at the deadline leaves nothing behind either.
        with client(parts.settings) as redis:
            remove_fillers(redis)


def _holder(name: str) -> str:
    return f"fault-{name}"


def _start_holder(parts: Parts, name: str) -> None:
    if parts.table.alive(_holder(name)):
        return
    log = parts.settings.logs_dir / f"{_holder(name)}.log"
    ready = parts.settings.data_dir / f"{_holder(name)}.ready"
    ready.unlink(missing_ok=True)
    running = parts.table.start(
        _holder(name),
        [
            sys.executable,
            "-m",
            "sandbox.holder",
            name,
            "--home",
            str(parts.settings.home),
            "--ready",
            str(ready),
        ],
        log=log,
        cwd=REPOSITORY,
    )
    wait_until(ready.exists, _HOLDER_DEADLINE_S, f"fault {name} to take effect", lambda: died(name, running, log))
