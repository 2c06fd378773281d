"""Review of rights: what a database allows beyond a declared list, and what the list has that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.errors import TargetError
from opsverify.language.message import join, say
from opsverify.rights.declared import DeclaredRole, load
from opsverify.rights.objects import OWNER
from opsverify.rights.roles import INHERIT, LOGIN, MEANINGS, PUBLIC, SUPERUSER, modes_text
from opsverify.rights.state import combined
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from opsverify.language.message import Message
    from opsverify.rights.declared import DeclaredRights
    from opsverify.rights.objects import Bits, Held
    from opsverify.rights.roles import Reach
    from opsverify.rights.state import RightsState

_NOTHING: Final = DeclaredRole()
_SHOWN: Final = 3


@dataclass
class _Joined:
    """A membership that is not declared, and the roles that are reached through it."""

    role: str
    group: str
    modes: frozenset[str]
    how: Reach
    brings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RightsReview:
    """The differences, each named with its role, its right, and how it comes."""

    more: tuple[Message, ...]
    less: tuple[Message, ...]

    @classmethod
    def of(cls, state: RightsState, declared: DeclaredRights) -> RightsReview:
        """Compare the rights as they are with the declared ones: what each role may do, whichever way it comes."""
        comparison = _Comparison(state, declared)
        return cls(tuple(comparison.more()), tuple(comparison.less()))

    @property
    def text(self) -> str:
        """Every difference, one a line."""
        return "\n".join([*(f"+ {one}" for one in self.more), *(f"- {one}" for one in self.less)]) or "no difference"


def review_against(path: Path, state: RightsState, target: str) -> RightsReview:
    """Compare the rights of a target's database with the declared list in `path`.

    Raises TargetError where there is none, it has mistakes, or it is of another database.
    """
    if not path.exists():
        raise TargetError(
            say(
                "{path}: no declared rights yet; opsverify rights capture --target {name}, and review what it wrote",
                path=path,
                name=target,
            )
        )
    declared = load(path)
    if declared.database != state.database:
        raise TargetError(
            say(
                "{path}: declares the rights in database {declared}, the target names {database}; correct one of them",
                path=path,
                declared=declared.database,
                database=state.database,
            )
        )
    return RightsReview.of(state, declared)


class _Comparison:
    """A database and a declared list, role by role."""

    def __init__(self, state: RightsState, declared: DeclaredRights) -> None:
        self._state = state
        self._declared = declared
        self._gone: dict[str, list[str]] = {}
        self._wanted: dict[str, Held] = {name: self._resolved(name) for name in declared.roles}

    def more(self) -> Iterator[Message]:
        """What is there beyond the list: roles, attributes, memberships, rights."""
        known = [name for name in self._state.names if self._is_known(name)]
        for name in self._state.names:
            if name not in known:
                yield self._undeclared(name)
        for name in known:
            role, wanted = self._state.graph.roles.get(name), self._of(name)
            if role and SUPERUSER not in wanted.attributes:
                for attribute in sorted(role.attributes - wanted.attributes):
                    yield say("{role}: {right}", role=name, right=attribute)
        for one in self._joined(known):
            right = _member(one.group, one.modes, one.how)
            brings = say("; brings {names}", names=_some(one.brings)) if one.brings else ""
            yield say("{role}: {right}{more}{passed}", role=one.role, right=right, more=brings,
                      passed=self._passed(one.role))  # fmt: skip
        for name in known:
            allowed = self._allowed(name)
            beyond = {
                privilege: excess
                for privilege, objects in self._state.own(name).items()
                if (excess := objects & ~allowed[privilege])
            }
            yield from self._rights(name, _without_owned(beyond))

    def less(self) -> Iterator[Message]:
        """What the list has and the database has not."""
        for name, wanted in self._declared.roles.items():
            role = self._state.graph.roles.get(name)
            if role is None and name != PUBLIC:
                yield say("{role}: declared, and no such role", role=name)
                continue
            superuser = bool(role and role.superuser)
            attributes = wanted.attributes - (role.attributes if role else frozenset())
            for attribute in sorted(attributes & {LOGIN} if superuser else attributes):
                yield say("{role}: {right} missing", role=name, right=attribute)
            if superuser:
                continue
            reach = self._state.graph.reach(name)
            for group, modes in wanted.member_of.items():
                if lost := modes - (reach[group].modes if group in reach else frozenset()):
                    right = say("member of {group} ({modes})", group=group, modes=modes_text(lost))
                    yield say("{role}: {right} missing", role=name, right=right)
            allowed = self._state.effective(name)
            lacking = {
                privilege: absent
                for privilege, objects in self._wanted[name].items()
                if (absent := objects & ~allowed[privilege])
            }
            for line in self._state.index.lines(lacking):
                yield say("{role}: {right} missing", role=name, right=line)
            for line in self._gone.get(name, ()):
                yield say("{role}: {right} missing, no such object", role=name, right=line)

    def _is_known(self, name: str) -> bool:
        role = self._state.graph.roles.get(name)
        return name in self._declared.roles or role is None or role.predefined

    def _of(self, name: str) -> DeclaredRole:
        return self._declared.roles.get(name, _NOTHING)

    def _resolved(self, name: str) -> Held:
        held: Held = {}
        for privileges, target in self._declared.roles[name].rights:
            objects = self._state.index.find(target)
            if objects is None:
                self._gone.setdefault(name, []).append(f"{', '.join(privileges)} ON {target}")
                continue
            for privilege in privileges:
                held[privilege] = held.get(privilege, 0) | objects
        return held

    def _allowed(self, name: str) -> Held:
        """Everything that the list lets a role do."""
        wanted = self._of(name)
        groups = [group for group, modes in wanted.member_of.items() if INHERIT in modes]
        parts = (self._wanted.get(one, {}) for one in (name, *groups, PUBLIC))
        superuser = any(SUPERUSER in self._of(one).attributes for one in (name, *groups))
        return combined(self._state.index, parts, groups, superuser)

    def _undeclared(self, name: str) -> Message:
        """A role that the list does not have, with the most that it brings."""
        role, reach = self._state.graph.roles[name], self._state.graph.reach(name)
        has: list[str] = sorted(role.attributes)
        has += [_member(group, how.modes, how) for group, how in reach.items()]
        has += self._state.index.lines(self._state.own(name))
        return say("{role}: {what}", role=name, what=listed(say("not declared"), has, _SHOWN))

    def _joined(self, known: Iterable[str]) -> list[_Joined]:
        """Memberships beyond the list: each once, where it was made."""
        beyond: dict[tuple[str, str], _Joined] = {}
        for name in known:
            role, wanted = self._state.graph.roles.get(name), self._of(name)
            if role is None or role.superuser or SUPERUSER in wanted.attributes:
                continue
            reach = self._state.graph.reach(name)
            for group in self._state.joined(name):
                if modes := reach[group].modes - wanted.member_of.get(group, frozenset()):
                    beyond[name, group] = _Joined(name, group, modes, reach[group])
        roots = []
        for (name, group), one in beyond.items():
            between = one.how.through
            # The last role on the way that has it as something new is where it was granted.
            through = next((other for other in reversed(between) if (other, group) in beyond), None)
            first = next((other for other in between if (name, other) in beyond), None)
            if through is None and first is not None:
                beyond[name, first].brings.append(group)
            elif through is None:
                roots.append(one)
        return roots

    def _rights(self, name: str, beyond: Held) -> Iterator[Message]:
        for line in self._state.index.lines(beyond):
            grantors = self._grantors(name, line, beyond)
            by = say(", granted by {grantors}", grantors=", ".join(grantors)) if grantors else ""
            yield say("{role}: {right}{more}{passed}", role=name, right=line, more=by, passed=self._passed(name))

    def _passed(self, name: str) -> Message | str:
        """Who else has what is given to a role."""
        graph, parts = self._state.graph, []
        if some := _some(graph.inheritors(name)):
            parts.append(say("; through it also {names}", names=some))
        if some := _some(graph.by_set_role(name)):
            parts.append(say("; by SET ROLE also {names}", names=some))
        return join("", parts) if parts else ""

    def _grantors(self, name: str, line: str, beyond: Held) -> tuple[str, ...]:
        privilege, _, target = line.partition(" ON ")
        objects: Bits = self._state.index.find(target) or 0
        names = [one for one in privilege.split(", ") if one != OWNER]
        found = {by for one in names for by in self._state.grantors(name, one, objects & beyond.get(one, 0))}
        return tuple(sorted(found - {name}))


def _without_owned(beyond: Held) -> Held:
    """Without what an owner grants itself: that it is the owner is the difference."""
    owned = beyond.get(OWNER, 0)
    kept = {privilege: objects if privilege == OWNER else objects & ~owned for privilege, objects in beyond.items()}
    return {privilege: objects for privilege, objects in kept.items() if objects}


def _member(group: str, modes: Iterable[str], how: Reach) -> Message:
    """`member of pg_write_all_data (INHERIT, SET) through support`, with what a predefined role allows."""
    allows = say(", which allows {what}", what=MEANINGS[group]) if group in MEANINGS else ""
    through = say(" through {names}", names=" > ".join(how.through)) if how.through else ""
    return say(
        "member of {group} ({modes}){through}{allows}",
        group=group,
        modes=modes_text(modes),
        through=through,
        allows=allows,
    )


def _some(names: Iterable[str]) -> Message | str:
    """The first of some names, and how many more there are."""
    given = sorted(names)
    if len(given) > _SHOWN:
        return say("{names} and {more} more", names=", ".join(given[:_SHOWN]), more=len(given) - _SHOWN)
    return ", ".join(given)
