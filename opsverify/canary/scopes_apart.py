"""Scopes of a window, told apart: a series that both canary and baseline have makes one of the two out of both."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from opsverify.canary.unseen import shown
from opsverify.canary.window_setup import BASELINE, CANARY
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.canary.sample_columns import Points

_OTHER: Final = {CANARY: BASELINE, BASELINE: CANARY}


class ScopesApart:
    """Series of each signal by scope, and the first one that both scopes have."""

    def __init__(self) -> None:
        self._keys: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._shared: tuple[str, str] | None = None

    def add(self, scope: str, signals: Mapping[str, Mapping[str, Points]]) -> None:
        """Add the series of one step."""
        for name, series in signals.items():
            known = self._keys[scope, name]
            new = series.keys() - known
            if new:
                known.update(new)
                shared = set() if self._shared is not None else new & self._keys[_OTHER[scope], name]
                if shared:
                    self._shared = name, min(shared)

    @property
    def distorts(self) -> bool:
        """Whether the canary's counts are another's as well: not where the baseline alone takes the canary along."""
        if self._shared is None:
            return False
        canary, baseline = (self._keys[scope, self._shared[0]] for scope in (CANARY, BASELINE))
        return not canary < baseline

    @property
    def text(self) -> str | None:
        """What to say of a series in both scopes; None where there is none."""
        if self._shared is None:
            return None
        signal, key = self._shared
        return say(
            "{signal} {{{series}}} is in both scopes, canary and baseline: one of them counts the other as well; "
            "correct canary.canary or canary.baseline",
            signal=signal,
            series=shown(key),
        )
