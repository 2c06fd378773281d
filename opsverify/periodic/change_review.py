"""Review of one kind of change: signatures, moves that made no version, and what each instance serves."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import Inconclusive, NotDescribed
from opsverify.history.snapshot import Origin, Row, Snapshot
from opsverify.language.message import Message, join, say
from opsverify.periodic.changes import CLOCKS, Change, deployments, versions
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opsverify.config.changes import ChangeHistory, ServedVersions
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.services import Services

KEEP_DAYS: Final = 400
_HTTP_OK: Final = 200
Served = dict[str, dict[str, str]]
"""Version by name, by instance."""


@dataclass(frozen=True)
class ChangeReview:
    """The history of one kind as it is now, and as earlier runs saw it (`earlier`, oldest first)."""

    kind: str
    config: ChangeHistory
    versions: tuple[Change, ...]
    deployments: tuple[Change, ...]
    now: Snapshot
    earlier: tuple[Snapshot, ...] = ()

    @property
    def _since(self) -> dt.datetime:
        return self.now.taken_at - dt.timedelta(seconds=self.config.lookback_s)

    @cached_property
    def recent(self) -> tuple[Change, ...]:
        """The changes of the lookback."""
        return tuple(change for change in (*self.versions, *self.deployments) if change.at >= self._since)

    @cached_property
    def unsigned(self) -> tuple[Message, ...]:
        """Changes of the lookback without author, other approver or ticket, and those that bypassed the approval."""
        found = (change.unsigned(self.config.ticket, self.now.taken_at) for change in self.recent)
        return tuple(text for text in found if text is not None)

    @cached_property
    def in_force(self) -> Mapping[str, tuple[str, ...]]:
        """Versions in force by name, as the history says; one each where it is in order."""
        names: dict[str, list[str]] = {change.name: [] for change in self.versions}
        if any(change.active is not None for change in self.versions):
            for change in self.versions:
                if change.active:
                    names[change.name].append(change.version)
        else:
            for change in sorted((*self.versions, *self.deployments), key=lambda change: change.at):
                names[change.name] = [change.version]
        return {name: tuple(active) for name, active in names.items()}

    @property
    def disorder(self) -> tuple[Message, ...]:
        """Names that have no version in force, or more than one."""
        return tuple(
            say("{name}: {versions} in force, expected one", name=name, versions=listed(str(len(active)), active))
            for name, active in self.in_force.items()
            if len(active) != 1
        )

    # ---- compared with earlier runs

    def unrecorded(self) -> tuple[Message, ...]:
        """What changed between two runs without a record. Raises Inconclusive without an earlier run to compare with.

        A version that was put in force again without a deployment of it on record, one whose content was changed in
        place, one that was removed.
        """
        seen = [one for one in self.earlier if one.taken_at >= self._since and one.origin.same == self.now.origin.same]
        if not seen:
            raise Inconclusive(
                say(
                    "changes of {kind}: no earlier run within {lookback}; the baseline begins now, "
                    "run again next month (or opsverify history capture every day)",
                    kind=self.kind,
                    lookback=self.config.lookback,
                )
            )
        return tuple(text for before, after in pairwise((*seen, self.now)) for text in self._between(before, after))

    def _between(self, before: Snapshot, after: Snapshot) -> Iterator[Message]:
        between = say(
            "between {before:%Y-%m-%d %H:%MZ} and {after:%Y-%m-%d %H:%MZ}",
            before=before.taken_at,
            after=after.taken_at,
        )
        for row in (row for key, row in after.rows.items() if key not in before.rows):
            if dt.datetime.fromisoformat(str(row["at"])) < before.taken_at - CLOCKS:
                yield say(
                    "{version}, dated {at}, was not there yet on {before:%Y-%m-%d %H:%MZ}: it is dated back",
                    version=self._named(row),
                    at=str(row["at"]),
                    before=before.taken_at,
                )
        for key, row in before.rows.items():
            change, what = after.rows.get(key), self._named(row)
            if change is None:
                yield say("{version} was removed from the history {between}", version=what, between=between)
                continue
            if change["content"] != row["content"]:
                yield say(
                    "{version} was changed in place, without a new version, {between}", version=what, between=between
                )
            if change["active"] and not row["active"] and not self._deployed(row, before, after):
                yield say(
                    "{version} was put in force without a new version {between}, and no deployment of it is on record",
                    version=what,
                    between=between,
                )

    @staticmethod
    def _named(row: Mapping[str, Any]) -> str:
        return f"{row['name']} {row['version']}"

    def _deployed(self, row: Mapping[str, Any], before: Snapshot, after: Snapshot) -> bool:
        return any(
            (change.name, change.version) == (row["name"], row["version"])
            and before.taken_at - CLOCKS <= change.at <= after.taken_at + CLOCKS
            for change in self.deployments
        )

    # ---- compared with what runs

    def astray(self, served: Served) -> tuple[Message, ...]:
        """Instances that serve another version than the history has in force."""
        found = []
        for instance, reported in served.items():
            for name, active in self.in_force.items():
                version = reported.get(name)
                if version is None or version not in active:
                    found.append(
                        say(
                            "{instance} serves {name} {version}, the history has {active}",
                            instance=instance,
                            name=name,
                            version=version or say("of no version"),
                            active=", ".join(active) or say("none in force"),
                        )
                    )
            found += [
                say("{instance} serves {name} {version}, which the history does not have",
                    instance=instance, name=name, version=version)
                for name, version in reported.items() if name not in self.in_force
            ]  # fmt: skip
        return tuple(found)


def changes_subject(kind: str) -> str:
    """The subject of a kind's snapshots."""
    return f"changes.{kind}"


def snapshot(kind: str, config: ChangeHistory, postgres: Postgres) -> Snapshot:
    """Every version with its content's digest and whether it is in force."""
    return review_changes(kind, config, postgres).now


def review_changes(kind: str, config: ChangeHistory, postgres: Postgres) -> ChangeReview:
    """The history of a kind now. Raises Inconclusive."""
    found, moved = versions(kind, config, postgres), deployments(kind, config, postgres)
    where = postgres.row("SELECT system_identifier::text AS cluster, now() AS now FROM pg_control_system()")
    statement = hashlib.sha256(str(config.history).encode()).hexdigest()[:16]
    origin = Origin({"query": statement, "system_identifier": where.cluster})
    empty = Snapshot(changes_subject(kind), where.now, origin, {})
    unseen = ChangeReview(kind, config, found, moved, empty)
    rows: dict[str, Row] = {
        f"{change.name} {change.version}": {
            "name": change.name,
            "version": change.version,
            "at": change.at.isoformat(),
            "active": change.version in unseen.in_force[change.name],
            "content": hashlib.sha256(change.content.encode()).hexdigest()[:16] if change.content else "",
        }
        for change in found
    }
    now = Snapshot(changes_subject(kind), where.now, origin, rows, keep_days=KEEP_DAYS)
    return ChangeReview(kind, config, found, moved, now)


def versions_served(kind: str, config: ChangeHistory, services: Services, postgres: Callable[[], Postgres]) -> Served:
    """What each instance serves. Raises Inconclusive where that is not described, or one does not report it."""
    served = config.served
    if served is None:
        raise NotDescribed(
            say(
                'what instances serve is not described; add [changes.{kind}.served] services = ["NAME"], '
                "path and field, or query",
                kind=kind,
            )
        )
    if served.query is not None:
        return _of_rows(kind, postgres().rows(served.query))
    found, mute = {}, []
    for name in served.services:
        try:
            found[name] = _reported(kind, served, name, services)
        except Inconclusive as error:
            mute.append(say("{name}: {error}", name=name, error=error))
    if mute:
        raise Inconclusive(join("; ", mute))
    return found


def _reported(kind: str, served: ServedVersions, name: str, services: Services) -> dict[str, str]:
    reply = services.get(name, str(served.path))
    if reply.status != _HTTP_OK:
        raise Inconclusive(say("{path} answered {status}; expected 200", path=served.path, status=reply.status))
    value = reply.field(str(served.field))
    if isinstance(value, dict):
        return {str(key): str(version) for key, version in value.items()}
    return {} if value is None else {kind: str(value)}


def _of_rows(kind: str, rows: Sequence[Any]) -> Served:
    key = f"changes.{kind}.served.query"
    if not rows:
        raise Inconclusive(say("{key}: no row; no instance reports what it serves", key=key))
    found: Served = {}
    for row in rows:
        values = row._asdict()
        if missing := [name for name in ("instance", "version") if name not in values]:
            raise Inconclusive(
                say("{key}: no column {missing}; name it in the statement (AS)", key=key, missing=", ".join(missing))
            )
        found.setdefault(str(values["instance"]), {})[str(values.get("name") or kind)] = str(values["version"])
    return found
