"""Memory of Redis beyond what its keys take: the allocator's, of the server's INFO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AllocatorWaste:
    """What the allocator holds beyond what is used: as a factor, and in bytes."""

    factor: float
    bytes: int


def allocator_waste(info: Mapping[str, Any]) -> AllocatorWaste:
    """The waste that INFO shows. Raises Inconclusive where the allocator does not tell.

    Not `mem_fragmentation_ratio`: that is the process's memory over the keys', and large on every small cache.
    """
    active, allocated = info.get("allocator_active"), info.get("allocator_allocated")
    if not isinstance(active, int) or not isinstance(allocated, int) or not allocated:
        raise Inconclusive(
            say("Redis: INFO has no allocator_active; its allocator does not tell how much memory it wastes")
        )
    return AllocatorWaste(active / allocated, max(0, active - allocated))
