"""Changes of rules, prompts and DSL, as the target's history has them; and whether each is signed as it has to be.

A change is a new version, or a deployment of one that was there before. It needs an author, an approver who is
somebody else, and a ticket; what an administrator skipped is shown.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.config.changes import KINDS
from opsverify.core.spec import Inapplicable
from opsverify.errors import Inconclusive, NotDescribed
from opsverify.language.message import join, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opsverify.config.changes import ChangeHistory
    from opsverify.config.model import Target
    from opsverify.language.message import Message
    from opsverify.probes.postgres import Postgres

REQUIRED: Final = ("version", "at", "author", "approver", "ticket")
CLOCKS: Final = dt.timedelta(hours=1)
"""A change may be dated this much later than now: the clocks of two machines, or a date without time zone."""
_PEOPLE: Final = re.compile(r"[,;/&]")


@dataclass(frozen=True)
class Change:
    """One change: a new version, or (`deployed`) an earlier one that was put in force again.

    `active` is None where the history has no such column; `bypass` is what an administrator skipped.
    """

    kind: str
    name: str
    version: str
    at: dt.datetime
    author: str
    approver: str
    ticket: str
    active: bool | None = None
    bypass: str = ""
    content: str = ""
    deployed: bool = False

    def unsigned(self, ticket: str, now: dt.datetime) -> Message | None:
        """What the change lacks, in words; None where it lacks nothing."""
        lacking = list(self._lacking(ticket, now))
        return say("{change}: {lacking}", change=self.text, lacking=join(", ", lacking)) if lacking else None

    def _lacking(self, ticket: str, now: dt.datetime) -> Iterator[Message]:
        authors, approvers = _people(self.author), _people(self.approver)
        if not authors:
            yield say("no author")
        if self.bypass:
            yield say("approval bypassed by an administrator ({bypass})", bypass=self.bypass)
        elif not approvers:
            yield say("no approver (approval was bypassed)")
        if authors and approvers and approvers <= authors:
            yield say("approved by its own author")
        if not self.ticket:
            yield say("no ticket")
        elif not re.search(ticket, self.ticket):
            yield say("ticket {ticket!r} does not match {pattern}", ticket=self.ticket, pattern=ticket)
        if self.at > now + CLOCKS:
            yield say("dated in the future")

    @property
    def text(self) -> Message:
        """Which change it is."""
        named = self.version if self.name == self.kind else f"{self.name} {self.version}"
        at, author = self.at.astimezone(dt.UTC), self.author or "?"
        if self.deployed:
            return say(
                "{kind} {version} put in force again on {at:%Y-%m-%d %H:%MZ} by {author}",
                kind=self.kind,
                version=named,
                at=at,
                author=author,
            )
        return say(
            "{kind} {version} of {at:%Y-%m-%d %H:%MZ} by {author}", kind=self.kind, version=named, at=at, author=author
        )


def change_kinds(target: Target) -> tuple[str | Inapplicable, ...]:
    """The kinds to review: the runbook's, and the target's own; those declared absent with their reason."""
    kinds = dict.fromkeys((*KINDS, *target.changes))
    absent = {kind: config.absent for kind, config in target.changes.items() if config.absent is not None}
    return tuple(Inapplicable(kind, absent[kind]) if kind in absent else kind for kind in kinds)


def described(target: Target, kind: str) -> ChangeHistory:
    """The history of a kind. Raises Inconclusive where the target does not describe it."""
    config = target.changes.get(kind)
    if config is None or config.history is None:
        raise NotDescribed(
            say('changes: no history of {kind}; add [changes.{kind}], or absent = "reason" in it', kind=kind)
        )
    return config


def versions(kind: str, config: ChangeHistory, postgres: Postgres) -> tuple[Change, ...]:
    """Every version, the oldest first. Raises Inconclusive for a history that is empty, or lacks a column."""
    key = f"changes.{kind}.history"
    found = _changes(kind, key, postgres.rows(str(config.history)))
    if not found:
        raise Inconclusive(say("{key}: no row; an empty history shows no change", key=key))
    return found


def deployments(kind: str, config: ChangeHistory, postgres: Postgres) -> tuple[Change, ...]:
    """Every deployment of an earlier version, the oldest first; none where the target names no such record."""
    if config.deployments is None:
        return ()
    return _changes(kind, f"changes.{kind}.deployments", postgres.rows(config.deployments), deployed=True)


def _changes(kind: str, key: str, rows: Sequence[Any], *, deployed: bool = False) -> tuple[Change, ...]:
    changes = (_change(kind, key, row._asdict(), deployed=deployed) for row in rows)
    return tuple(sorted(changes, key=lambda change: change.at))


def _change(kind: str, key: str, row: dict[str, Any], *, deployed: bool) -> Change:
    if missing := [name for name in REQUIRED if name not in row]:
        raise Inconclusive(
            say("{key}: no column {missing}; name it in the statement (AS)", key=key, missing=", ".join(missing))
        )
    version = _text(row["version"])
    if not version:
        raise Inconclusive(say("{key}: a row without version; correct the statement", key=key))
    bypass = row.get("bypass")
    return Change(
        kind,
        _text(row.get("name")) or kind,
        version,
        _moment(key, row["at"]),
        _text(row["author"]),
        _text(row["approver"]),
        _text(row["ticket"]),
        _flag(key, row["active"]) if "active" in row else None,
        "" if bypass is False else _text(bypass),
        _text(row.get("content")),
        deployed,
    )


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Inconclusive(say("{key}: active is {value!r}; expected true or false", key=key, value=value))
    return value


def _moment(key: str, value: object) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time(), dt.UTC)
    raise Inconclusive(say("{key}: at is {value!r}; expected a time", key=key, value=value))


def _people(text: str) -> set[str]:
    """The persons that a column names: a mail address and the name before its @ are one."""
    return {person for part in _PEOPLE.split(text) if (person := part.strip().casefold().partition("@")[0])}
