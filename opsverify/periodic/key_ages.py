"""Ages of keys: how long each is known to be the same, by its fingerprint in the history, or declared to be.

The first sight of a key begins its age. Unless an earlier key was seen in its place it may be older than that: then
only a declared `rotated_at` says how old it is at most.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.history.snapshot import Origin, Snapshot
from opsverify.language.message import say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opsverify.config.reviewed_keys import ReviewedKey
    from opsverify.config.secrets import Secrets
    from opsverify.history.fingerprint import FingerprintKey
    from opsverify.language.message import Message
    from opsverify.limits import Limit

SUBJECT: Final = "keys"
ZONES: Final = dt.timedelta(days=1)
"""A declared date is one of some time zone."""
_FINGERPRINT: Final = "fingerprint"


def fingerprints(keys: Iterable[ReviewedKey], secrets: Secrets, key: FingerprintKey, now: dt.datetime) -> Snapshot:
    """The fingerprint of every key now."""
    rows = {one.name: {_FINGERPRINT: key.of(secrets[one.secret])} for one in keys if one.secret is not None}
    return Snapshot(SUBJECT, now, Origin({"key": key.id}), rows)


@dataclass(frozen=True)
class KeyAge:
    """A key: since when it is seen, when another was seen in its place last, and since when it is declared to be."""

    name: str
    now: dt.datetime
    seen_since: dt.datetime | None = None
    another_at: dt.datetime | None = None
    rotated_at: dt.date | None = None

    @property
    def at_least_s(self) -> float | None:
        """Seconds that it has been the same for; None where it was never seen."""
        return None if self.seen_since is None else (self.now - self.seen_since).total_seconds()

    @property
    def at_most_s(self) -> float | None:
        """Seconds that it can have been there for; None where that is not known."""
        known = [moment for moment in (self.another_at, self._declared) if moment is not None]
        return max(0.0, (self.now - max(known)).total_seconds()) if known else None

    @property
    def contradiction(self) -> Message | None:
        """How what is declared differs from what was seen; None where it does not."""
        declared = self._declared
        if declared is None:
            return None
        if declared > self.now + ZONES:
            return say("{key}: rotated_at {date} lies in the future", key=self.name, date=self.rotated_at)
        if self.seen_since is not None and self.seen_since < declared - ZONES:
            return say(
                "{key}: declared to be rotated at {date}, but the same key was seen on {seen:%Y-%m-%d} and since; "
                "rotate it, or correct rotated_at",
                key=self.name,
                date=self.rotated_at,
                seen=self.seen_since,
            )
        return None

    def judged(self, limit: Limit) -> float:
        """The age to compare with `limit`. Raises Inconclusive where it may lie on either side."""
        least, most = self.at_least_s, self.at_most_s
        if least is not None and not limit.holds(least):
            return least
        if most is not None and (limit.holds(most) or self._declared is not None):
            return most
        if least is None:
            raise Inconclusive(
                say(
                    "{key}: no key of this name in the target, and no rotated_at; name its secret = {{ file = ... }}, "
                    "or correct the name",
                    key=self.name,
                )
            )
        raise Inconclusive(
            say(
                "{key}: {text}; whether it is older than {limit} is not known: declare [keys] {key} rotated_at",
                key=self.name,
                text=self.text,
                limit=limit.text,
            )
        )

    @property
    def text(self) -> Message:
        """Since when it is known, and from what."""
        if self.rotated_at is not None and self.seen_since is None:
            return say("rotated at {date}, as declared", date=self.rotated_at)
        if self.rotated_at is not None:
            return say(
                "rotated at {date}, as declared; seen since {seen:%Y-%m-%d}", date=self.rotated_at, seen=self.seen_since
            )
        age = elapsed(max(self.at_least_s or 0.0, 0.0))
        if self.another_at is not None:
            return say(
                "seen since {seen:%Y-%m-%d} ({age}), another key before, on {before:%Y-%m-%d}",
                seen=self.seen_since,
                age=age,
                before=self.another_at,
            )
        return say("seen since {seen:%Y-%m-%d}, at least {age} old", seen=self.seen_since, age=age)

    @property
    def _declared(self) -> dt.datetime | None:
        if self.rotated_at is None:
            return None
        return dt.datetime.combine(self.rotated_at, dt.time(), dt.UTC)


def key_age(key: ReviewedKey, now: Snapshot, earlier: Sequence[Snapshot]) -> KeyAge:
    """The age of a key, of today's fingerprints and of `earlier` ones, oldest first."""
    current = now.rows.get(key.name, {}).get(_FINGERPRINT)
    if current is None:
        return KeyAge(key.name, now.taken_at, rotated_at=key.rotated_at)
    since, another = now.taken_at, None
    for snapshot in reversed(earlier):
        known = snapshot.rows.get(key.name, {}).get(_FINGERPRINT)
        if known is None or snapshot.origin.same != now.origin.same or snapshot.taken_at > now.taken_at:
            continue
        if known != current:
            another = snapshot.taken_at
            break
        since = snapshot.taken_at
    return KeyAge(key.name, now.taken_at, since, another, key.rotated_at)
