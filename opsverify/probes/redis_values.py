"""Values of Redis' answers: one cache, of one server or of a cluster's together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Persistence: TypeAlias = Literal["aof", "rdb", "none"]
_WEAKEST_FIRST: Final[tuple[Persistence, ...]] = ("none", "rdb", "aof")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Values of INFO: bytes, seconds, counts since its start; `memory_max` 0: no limit; `memory_machine` 0: unknown."""

    version: str
    memory_used: int
    memory_max: int
    memory_machine: int
    evicted_keys: int
    configured_persistence: Persistence | None
    last_save_ok: bool
    connected_clients: int
    role: str
    uptime_s: float
    keys: int
    policy: str = "noeviction"

    @property
    def evicts(self) -> bool:
        """Whether a full Redis makes room by itself: any key may go.

        `volatile-*` refuses writes once keys without an end fill it.
        """
        return self.policy.startswith("allkeys-")

    @property
    def persistence(self) -> Persistence:
        """How data outlive a restart. Raises Inconclusive where this user may not read it."""
        if self.configured_persistence is None:
            raise Inconclusive(
                say("Redis: persistence is hidden from this user; allow it +config|get, or declare it elsewhere")
            )
        return self.configured_persistence


@dataclass(frozen=True, slots=True)
class LatencyEvent:
    """The newest event of one kind that took longer than the threshold: Unix time, and seconds."""

    name: str
    at: float
    took_s: float


def together(infos: Sequence[CacheInfo]) -> CacheInfo:
    """One cache of several servers: the memory of the fullest one, counts added up, the weakest persistence."""
    fullest = max(infos, key=lambda one: one.memory_used / (one.memory_max or one.memory_machine or math.inf))
    kinds = {one.configured_persistence for one in infos}
    weakest = next((kind for kind in _WEAKEST_FIRST if kind in kinds), None)
    return replace(
        fullest,
        evicted_keys=sum(one.evicted_keys for one in infos),
        configured_persistence=None if None in kinds else weakest,
        last_save_ok=all(one.last_save_ok for one in infos),
        connected_clients=sum(one.connected_clients for one in infos),
        uptime_s=min(one.uptime_s for one in infos),
        keys=sum(one.keys for one in infos),
    )


def shared(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names that all servers have."""
    return [name for name in found[0] if all(name in one for one in found)]


def joined(values: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever INFO holds
    """Numbers added up, texts joined."""
    numbers = all(isinstance(value, int | float) for value in values)
    return sum(values) if numbers else " ".join(sorted({str(value) for value in values}))
