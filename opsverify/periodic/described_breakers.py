"""Described breakers of a target: what every plan asks of them, apart from what looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import NotDescribed
from opsverify.language.message import say

if TYPE_CHECKING:
    from opsverify.config.model import Target


def described_breakers(target: Target) -> tuple[str, ...]:
    """The breakers of a target. Raises Inconclusive where it describes none."""
    if not target.breakers:
        raise NotDescribed(
            say(
                "breakers: none described; add [breakers.NAME] with opened, half_opened, closed and not_closed, "
                "or declare breakers absent with the reason"
            )
        )
    return tuple(target.breakers)
