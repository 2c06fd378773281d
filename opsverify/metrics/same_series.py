"""Series of two signals: whether selectors that are written differently pick the same ones.

Two signals that count the same series measure one thing under two names: a criterion is then judged by another one's
counts, or its good ones are all of its trials, and nothing it counts proves anything. What is the same cannot be read
off the selectors (`code=~"5.."` and `code="503"` may be the same for years), only off what they matched.

- a pair with bad ones is the same only where it is so in every series of `LOOKED_BACK`: in a shorter time all requests
  may really have failed;
- good ones may be all trials, for nothing failed: that proves nothing where their selector would pick failed ones too;
- any other pair is the same until a series tells it apart, in that time or in the window.

What is meant is said by the target: `same_as`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from opsverify.config.matchers import parse_matchers
from opsverify.config.signals import SHARES
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.metrics.signal_meaning import LOOKED_BACK, picks
from opsverify.metrics.status_values import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsverify.config.signals import Signal, Signals
    from opsverify.probes.prometheus import Prometheus

BUCKETS: Final = "duration_buckets"
_LATELY: Final = "5m"
_NO_VALUE: Final = "-"
"""A label value that nothing exports: a selector of good ones that picks it picks whatever is new."""


class Told(StrEnum):
    """What is known of two signals by the series they matched."""

    SAME = "same"
    APART = "apart"
    UNKNOWN = "no series of one of them"


@dataclass(frozen=True)
class SignalPair:
    """Two signals that must not count the same series, and may; `bad`: one of them counts bad ones."""

    one: str
    other: str
    selectors: tuple[str, str]
    bad: bool

    def possible(self, told: Told) -> bool:
        """Whether equal series in a window mean that they are the same."""
        return told is Told.SAME or (told is Told.UNKNOWN and not self.bad)


def suspects(signals: Signals, latency_limit_s: float) -> Iterator[SignalPair]:
    """Pairs of signals that may resolve to the same series, by the metric that they select from."""
    names = [name for name in type(signals).model_fields if _described(signals, name)]
    shares = {frozenset((share.good, share.trials)): share.good for share in SHARES.values()}
    for one, other in combinations(names, 2):
        first, second = signals.of(one), signals.of(other)
        if signals.meant(one, other) or (None not in (first.name, second.name) and first.name != second.name):
            continue
        good = shares.get(frozenset((one, other)))
        if good is not None and _leaves_bad_ones(*((first, second) if good == one else (second, first))):
            continue
        selectors = tuple(_selector(signals, name, latency_limit_s) for name in (one, other))
        yield SignalPair(one, other, selectors, bool({one, other} & SHARES.keys()))  # type: ignore[arg-type]


def told(prometheus: Prometheus, pair: SignalPair) -> Told:
    """What the series of both say; raises SourceFault without an answer."""
    for back in (_LATELY, LOOKED_BACK):
        counts = [_by_metric(prometheus, selector, back) for selector in pair.selectors]
        if not all(counts):
            return Told.UNKNOWN
        if counts[0] != counts[1] or _together(prometheus, pair.selectors, back) != sum(counts[0].values()):
            return Told.APART
    return Told.SAME


def told_if_answered(prometheus: Prometheus, pair: SignalPair) -> Told:
    """As `told`; unknown without an answer."""
    try:
        return told(prometheus, pair)
    except Inconclusive:
        return Told.UNKNOWN


def same_text(one: str, other: str, example: str) -> str:
    """What to say of two signals that are the same; `example`: a series, or a selector."""
    return say(
        "{one} and {other} count the same series ({example}): correct prometheus.signals.{one} or .{other}, or say "
        'same_as = "{one}" where that is meant',
        one=one,
        other=other,
        example=example,
    )


def same_share(prometheus: Prometheus, signals: Signals, bad: str) -> str | None:
    """What to say of a share whose trials and what is counted of them are the same series; None where they are not."""
    share, counted = SHARES[bad], signals.counted(bad)[0]
    for pair in suspects(signals, 0.0):
        if {pair.one, pair.other} == {counted, share.trials} and pair.possible(told_if_answered(prometheus, pair)):
            return same_text(pair.one, pair.other, pair.selectors[0])
    return None


def require_told_apart(prometheus: Prometheus, signals: Signals, bad: str) -> None:
    """Raise Inconclusive for a share that counts the same series twice."""
    text = same_share(prometheus, signals, bad)
    if text is not None:
        raise Inconclusive(text)


def _described(signals: Signals, name: str) -> bool:
    if getattr(signals, name) is None or signals.absent(name) is not None:
        return False
    return name not in SHARES or not signals.counted(name)[1]  # where good ones are counted, nobody reads the bad ones


def _selector(signals: Signals, name: str, latency_limit_s: float) -> str:
    signal = signals.of(name)
    return signal.bucket(latency_limit_s) if name == BUCKETS else signal.selector()


def _leaves_bad_ones(good: Signal, trials: Signal) -> bool:
    """Whether a selector of good ones would leave out bad ones that nobody has seen yet."""
    for label, sign, value in parse_matchers(good.match):
        if label not in trials.labels and not picks(sign, value, _NO_VALUE):
            return not any(picks(sign, value, status) for status in FAILED)
    return False


def _by_metric(prometheus: Prometheus, selector: str, back: str) -> dict[str, float]:
    """How many series a selector matched, by metric."""
    query = f"count by (__name__) (last_over_time({selector}[{back}]))"
    return {sample.labels.get("__name__", ""): sample.value for sample in prometheus.whole(query).samples}


def _together(prometheus: Prometheus, selectors: tuple[str, str], back: str) -> float:
    """How many series two selectors of the same metrics matched together."""
    each = " or ".join(f"last_over_time({selector}[{back}])" for selector in selectors)
    return sum(sample.value for sample in prometheus.whole(f"count({each})").samples)
