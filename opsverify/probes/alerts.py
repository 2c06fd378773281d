"""Alerts as Prometheus and Alertmanager report them, and what keeps one from being seen."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsverify.language.message import join, say

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from opsverify.config.model import AlertmanagerConfig

_ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)
_INVENTED = "opsverify-invented-value"
"""A label's value that no alert has: a matcher that takes it takes everything."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One active alert; `labels` hold its name too; `active_since` is None where it is not reported."""

    name: str
    labels: Mapping[str, str]
    state: str
    active_since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a silence on a label."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence and what it matches; `mutes_everything` where that is any alert at all."""

    id: str
    matchers: tuple[str, ...]
    created_by: str
    comment: str
    ends_at: dt.datetime
    mutes_everything: bool = False
    starts_at: dt.datetime = _ALWAYS
    labels: tuple[Matcher, ...] = ()
    active: bool = True

    @property
    def text(self) -> str:
        """Author, end and comment."""
        return say(
            "silenced by {author} until {until:%Y-%m-%dT%H:%MZ} ({comment})",
            author=self.created_by,
            until=self.ends_at,
            comment=self.comment or say("no comment"),
        )


@dataclass(frozen=True, slots=True)
class RoutedAlert:
    """An alert with what suppresses it: silences by id, other alerts by fingerprint."""

    alert: Alert
    fingerprint: str
    silenced_by: tuple[str, ...]
    inhibited_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertBoard:
    """All alerts of one moment: those that count, those that are suppressed (as text), silences of everything.

    An alert of the highest severity counts although it is suppressed or ignored, unless the target accepts it with
    owner, reason and date. `watchdog` is whether the alert that must always fire does; None where none is expected.
    """

    counted: tuple[Alert, ...]
    texts: tuple[str, ...]
    suppressed: tuple[str, ...]
    mute_all: tuple[str, ...]
    watchdog: bool | None

    @property
    def text(self) -> str:
        """What counts, and every alert that is suppressed, with the reason."""
        counted = say("alerts firing") + (join("", (": ", join(", ", dict.fromkeys(self.texts)))) if self.texts else "")
        if not self.suppressed:
            return counted
        return say(
            "{counted}; {count} suppressed: {suppressed}",
            counted=counted,
            count=len(self.suppressed),
            suppressed=join("; ", self.suppressed),
        )


def board_of(
    routed: Sequence[RoutedAlert],
    silences: Sequence[Silence],
    config: AlertmanagerConfig,
    ignore: Collection[str],
    today: dt.date,
) -> AlertBoard:
    """Judge which alerts count on `today`."""
    by_id = {silence.id: silence for silence in silences}
    names = {entry.fingerprint: entry.alert.name for entry in routed}
    accepted = {entry.alert: entry for entry in config.accepted if today <= entry.until}
    counted: list[Alert] = []
    texts: list[str] = []
    suppressed: list[str] = []
    for entry in routed:
        name = entry.alert.name
        if name == config.watchdog:
            continue
        why = _why(entry, by_id, names)
        ignored = name in ignore
        if name in accepted and (why or ignored):
            known = accepted[name]
            suppressed.append(
                say(
                    "{name} (accepted by {owner} until {until}: {reason})",
                    name=name,
                    owner=known.owner,
                    until=known.until,
                    reason=known.reason,
                )
            )
        elif why or ignored:
            sev1 = entry.alert.labels.get(config.severity_label) in config.sev1
            if sev1:
                counted.append(entry.alert)
                unowned = say("in alertmanager.ignore without owner, reason and date")
                texts.append(say("{name} ({why})", name=name, why=why or unowned))
            if why:
                suppressed.append(say("{name} ({why})", name=name, why=why))
        else:
            counted.append(entry.alert)
            texts.append(name)
    watchdog = None
    if config.watchdog is not None:
        watchdog = any(e.alert.name == config.watchdog and e.alert.state != "suppressed" for e in routed)
    mute_all = tuple(
        say("{matchers} {silence}", matchers=" ".join(one.matchers), silence=one.text)
        for one in silences
        if one.mutes_everything
    )
    return AlertBoard(tuple(counted), tuple(texts), tuple(suppressed), mute_all, watchdog)


def mutes_everything(matchers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an alert with invented labels would be silenced, too."""
    return all(_takes(matcher) for matcher in matchers)


def _takes(matcher: Mapping[str, Any]) -> bool:
    try:
        same = bool(re.fullmatch(matcher["value"], _INVENTED)) if matcher["isRegex"] else False
    except re.error:
        return False
    return same is bool(matcher.get("isEqual", True))


def _why(entry: RoutedAlert, silences: Mapping[str, Silence], names: Mapping[str, str]) -> str:
    """What suppresses an alert; empty where nothing does."""
    reasons = [silences[one].text if one in silences else say("silenced by {id}", id=one) for one in entry.silenced_by]
    reasons += [say("inhibited by {alert}", alert=names.get(one, one)) for one in entry.inhibited_by]
    return join("; ", reasons) or (say("suppressed") if entry.alert.state == "suppressed" else "")
