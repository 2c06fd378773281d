"""Silences in force: what each may mute, and for how long the chain of its renewals lasts already.

A silence names labels of alerts, of which a rule shows some (its name and its own labels) and the series others. What
the rule shows decides; a label that only series have may match, so that such a silence may mute the rule's alerts.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.units import elapsed, listed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from opsverify.language.message import Message
    from opsverify.probes.alerts import Matcher, Silence
    from opsverify.probes.prometheus_values import Rule

GAP: Final = dt.timedelta(minutes=10)
"""Two silences with the same matchers that lie closer together are one, renewed."""
_TEMPLATE: Final = "{{"


@dataclass(frozen=True, slots=True)
class SilenceInForce:
    """A silence, the rules of the highest severity that it may mute, and since when it has been renewed."""

    silence: Silence
    mutes: tuple[str, ...]
    since: dt.datetime

    def lasts_s(self, now: dt.datetime) -> float:
        """Seconds that alerts have been muted, with all renewals."""
        return (now - self.since).total_seconds()

    def text(self, now: dt.datetime) -> Message:
        """Matchers, author, end, and how long it lasts already."""
        return say(
            "{matchers} {silence}, in force for {age}{mutes}",
            matchers=" ".join(self.silence.matchers),
            silence=self.silence.text,
            age=elapsed(max(0.0, self.lasts_s(now))),
            mutes=listed(say(", may mute"), self.mutes) if self.mutes else "",
        )


def in_force(
    silences: Sequence[Silence], rules: Sequence[Rule], severity_label: str, sev1: Collection[str]
) -> tuple[SilenceInForce, ...]:
    """The active ones of `silences` (which may hold ended ones: renewals), longest in force first."""
    highest = [rule for rule in rules if rule.state and rule.labels.get(severity_label) in sev1]
    found = [
        SilenceInForce(
            silence, tuple(dict.fromkeys(rule.name for rule in highest if may_mute(silence.labels, rule))),
            _renewed_since(silence, silences),
        )
        for silence in silences
        if silence.active
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.since))


def may_mute(matchers: Sequence[Matcher], rule: Rule) -> bool:
    """Whether an alert of `rule` may have all labels that a silence names."""
    labels: Mapping[str, str] = {**rule.labels, "alertname": rule.name}
    return all(_may_match(matcher, labels.get(matcher.name)) for matcher in matchers)


def _may_match(matcher: Matcher, value: str | None) -> bool:
    if value is None or _TEMPLATE in value:
        return True
    try:
        same = bool(re.fullmatch(matcher.value, value)) if matcher.regex else matcher.value == value
    except re.error:
        return True
    return same is matcher.equal


def _renewed_since(silence: Silence, all_of_them: Sequence[Silence]) -> dt.datetime:
    """The beginning of the unbroken chain of silences with the same matchers that ends in `silence`."""
    since = silence.starts_at
    same = [one for one in all_of_them if set(one.matchers) == set(silence.matchers) and one.id != silence.id]
    for earlier in sorted(same, key=lambda one: one.ends_at, reverse=True):
        if earlier.starts_at < since <= earlier.ends_at + GAP:
            since = earlier.starts_at
    return since
