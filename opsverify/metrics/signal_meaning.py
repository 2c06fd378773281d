"""Meaning of a signal of bad ones: whether its selector ever matched, and which label values exist beside it.

A share whose bad ones are picked by a selector that never matched anything (a misspelt label, `5xx` instead of `500`)
is 0 % for ever. It proves nothing until the selector matches, or until what it would match is known to be a value of
the same kind as those that exist, or any value that does not exist yet (`outcome!="ok"`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.config.matchers import parse_matchers
from opsverify.config.signals import SHARES
from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.metrics.status_values import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.config.signals import Signals
    from opsverify.probes.prometheus import Prometheus

LOOKED_BACK: Final = "7d"
"""How far back a selector may have matched."""
_MOST_VALUES: Final = 12
_NEW_VALUE: Final = "-"
"""A label value that nothing exports: a selector that picks it picks whatever is new."""


@dataclass(frozen=True)
class SignalMeaning:
    """What is known of a signal of bad ones; `values` of the labels it picks by, as the trials' series have them."""

    signal: str
    selector: str
    trials: str
    matched: bool
    trials_matched: bool
    values: Mapping[str, tuple[str, ...]]
    picked: tuple[tuple[str, str, str], ...]
    good: str

    @property
    def of_known_kind(self) -> bool:
        """Whether the selector would pick a failure: one of the kind that all values seen are of, or any new value."""
        return bool(self.picked) and all(map(self._would_pick, self.picked))

    def _would_pick(self, matcher: tuple[str, str, str]) -> bool:
        label, sign, value = matcher
        values = self.values.get(label, ())
        kind = kind_of(label, values)
        candidates = (_NEW_VALUE,) if kind is None else (_NEW_VALUE, *kind.failed)
        return bool(values) and any(picks(sign, value, candidate) for candidate in candidates)

    @property
    def fault(self) -> str | None:
        """Why its count proves nothing; None where it does."""
        if self.matched or self.of_known_kind or not self.trials_matched:
            return None
        return say(
            "{signal}: {selector} matched no series in {span}{seen}; correct its match, or count the good ones "
            "(prometheus.signals.{good})",
            signal=self.signal,
            selector=self.selector,
            span=LOOKED_BACK,
            seen=self._seen,
            good=self.good,
        )

    @property
    def text(self) -> str:
        """One line for `doctor`: `no 5xx yet` is told from a wrong name."""
        if self.matched:
            return say("{selector} matched{seen}", selector=self.selector, seen=self._seen)
        return say(
            "none yet in {span}{seen}: {selector} would match them",
            span=LOOKED_BACK,
            seen=self._seen,
            selector=self.selector,
        )

    @property
    def _seen(self) -> str:
        seen = [
            say("{label} is {values}", label=label, values=listed_values(self.values[label]))
            if self.values.get(label)
            else say("no label {label}", label=label)
            for label in dict.fromkeys(label for label, _, _ in self.picked)
        ]
        if not seen or self.matched:
            return ""
        return say(", although {trials} counts ({seen})", trials=self.trials, seen=join("; ", seen))


def meaning_of(prometheus: Prometheus, signals: Signals, bad: str, scope: str = "") -> SignalMeaning:
    """What the signal `bad` of a share picks, in `scope` (label matchers). Raises SourceFault without an answer."""
    share = SHARES[bad]
    signal, trials = signals.of(bad), signals.of(share.trials)
    selector = signal.selector(scope)
    own = trials.labels
    picked = tuple(one for one in parse_matchers(signal.match) if one[0] not in own)
    matched = prometheus.known(selector, LOOKED_BACK)
    values: dict[str, tuple[str, ...]] = {}
    if not matched and signal.metric is not None and signal.metric == trials.metric:
        series = trials.selector(scope)
        values = {label: prometheus.label_values(label, series, LOOKED_BACK) for label, _, _ in picked}
    trials_matched = matched or prometheus.known(trials.selector(scope), LOOKED_BACK)
    return SignalMeaning(bad, selector, share.trials, matched, trials_matched, values, picked, share.good)


def unproven(prometheus: Prometheus, signals: Signals, bad: str, scope: str = "") -> str | None:
    """Why the count of `bad` ones proves nothing; None where it does, or where good ones are counted."""
    if bad not in SHARES or signals.absent(bad) is not None or signals.counted(bad)[1]:
        return None
    return meaning_of(prometheus, signals, bad, scope).fault


def require_meaning(prometheus: Prometheus, signals: Signals, bad: str) -> None:
    """Raise Inconclusive where a count of no `bad` ones proves nothing."""
    fault = unproven(prometheus, signals, bad)
    if fault is not None:
        raise Inconclusive(fault)


def listed_values(values: tuple[str, ...]) -> str:
    """Label values in words, the first of many."""
    shown = ", ".join(value or '""' for value in values[:_MOST_VALUES])
    if len(values) <= _MOST_VALUES:
        return shown
    return say("{values} and {more} more", values=shown, more=len(values) - _MOST_VALUES)


def picks(sign: str, value: str, candidate: str) -> bool:
    """Whether a matcher picks a value."""
    if "~" in sign:
        return (re.fullmatch(value, candidate) is not None) == (sign == "=~")
    return (candidate == value) == (sign == "=")
