"""Faults that stop a component, or disturb it by a separate process."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Protocol

from opsverify.language.message import say
from sandbox import backup_faults, network, on_call
from sandbox.home import REPOSITORY
from sandbox.processes import died, wait_until
from sandbox.redis import client, remove_fillers, remove_judgments

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
_HOLDERS = ("postgres_connections", "postgres_blocked", *_FILL_REDIS)
_AGELESS = "judgment:ageless"
_HOLDER_DEADLINE_S = 60
_SILENCES_DEADLINE_S = 60
_MISSES = 20_000
_STALL_S = 2
_SILENCED_HOURS = 2


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


def _miss(redis: Redis, *, on: bool) -> None:
    if on:
        pipeline = redis.pipeline(transaction=False)
        for n in range(_MISSES):
            pipeline.get(f"sandbox:missing:{n}")
        pipeline.execute()


def _stall(redis: Redis, *, on: bool) -> None:
    if on:
        redis.execute_command("DEBUG", "SLEEP", _STALL_S)  # type: ignore[no-untyped-call]
    else:
        redis.execute_command("LATENCY", "RESET")  # type: ignore[no-untyped-call]


_OF_REDIS = {
    "redis_persistence_broken": _switch_persistence,
    "cache_ageless": _keep_for_ever,
    "cache_keys_missing": _miss,
    "redis_stalled": _stall,
}
"""Faults inside Redis, by which function they are carried out."""


class Action(Protocol):
    """What switches a fault of one kind."""

    def __call__(self, parts: Parts, name: str, scope: str, /, *, on: bool) -> None:
        """Switch the fault `name` for `scope`; what is so already stays so."""


def carry_out(parts: Parts, name: str, scope: str, *, on: bool) -> None:
    """Switch a fault of kind `process`."""
    ACTIONS[name](parts, name, scope, on=on)


def _stop(parts: Parts, name: str, scope: str, *, on: bool) -> None:
    component = stopped_component(name, scope)
    if on:
        parts.take_down(component)
    else:
        parts.bring_up(component)
        if component == "postgres":
            _forget_judgments(parts)


def _restart(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    if on:
        parts.take_down(_RESTARTS[name])
        parts.bring_up(_RESTARTS[name])
    else:
        _forget_judgments(parts)


def _forget_judgments(parts: Parts) -> None:
    """Remove the judgments that were cached before PostgreSQL started again: they would fail any later post-dr."""
    with client(parts.settings) as redis:
        remove_judgments(redis)


def _change_redis(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    with client(parts.settings) as redis:
        _OF_REDIS[name](redis, on=on)


def _wrong_rules(parts: Parts, _name: str, _scope: str, *, on: bool) -> None:
    parts.monitoring.set_rules(present=True, wrong=on)


def _remove_rules(parts: Parts, _name: str, _scope: str, *, on: bool) -> None:
    parts.monitoring.set_rules(present=not on)


def _silence(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    port = parts.settings.ports["alertmanager"]
    if not on:
        wait_until(lambda: _silences_ended(port), _SILENCES_DEADLINE_S, say("silences to end"))
        return
    now = dt.datetime.now(dt.UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + dt.timedelta(hours=_SILENCED_HOURS)).isoformat(),
        "createdBy": "sandbox",
        "comment": "fault alerts_silenced",
    }
    wait_until(
        lambda: network.post("127.0.0.1", port, "/api/v2/silences", silence) == network.OK, _SILENCES_DEADLINE_S,
        say("fault {name} to take effect", name=name),
    )  # fmt: skip


def _silences_ended(port: int) -> bool:
    """Whether Alertmanager says that no silence is in force; those that are, are ended."""
    found = network.get_json(port, "/api/v2/silences")
    in_force = [silence["id"] for silence in found or () if silence["status"]["state"] != "expired"]
    for each in in_force:
        network.delete(port, f"/api/v2/silence/{each}")
    return found is not None and not in_force


def _change_calendars(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    on_call.write(parts.settings.home, name if on else None)


def _damage(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    backup_faults.carry_out(parts.cluster, name, on=on)


def _hold(parts: Parts, name: str, _scope: str, *, on: bool) -> None:
    if on:
        if name == "redis_memory":
            _set_policy(parts, "noeviction")
        _start_holder(parts, name)
        return
    parts.table.stop([_holder(name)], deadline_s=5.0)
    if name == "redis_memory":
        _set_policy(parts, "allkeys-lru")
    if name in _FILL_REDIS:
        # Here and not in the holder: a holder that is killed at the deadline leaves no keys either.
        with client(parts.settings) as redis:
            remove_fillers(redis)


def _set_policy(parts: Parts, policy: str) -> None:
    with client(parts.settings) as redis:
        redis.config_set("maxmemory-policy", policy)


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
    what = say("fault {name} to take effect", name=name)
    wait_until(ready.exists, _HOLDER_DEADLINE_S, what, lambda: died(name, running, log))


ACTIONS: dict[str, Action] = {
    **dict.fromkeys(STOPS, _stop),
    **dict.fromkeys(_RESTARTS, _restart),
    **dict.fromkeys(_HOLDERS, _hold),
    **dict.fromkeys(_OF_REDIS, _change_redis),
    "prometheus_rules_missing": _remove_rules,
    "alert_rules_wrong": _wrong_rules,
    "alerts_silenced": _silence,
    **dict.fromkeys(on_call.FAULTS, _change_calendars),
    **dict.fromkeys(backup_faults.DAMAGES, _damage),
}
"""Every fault of kind `process`, by what switches it."""
