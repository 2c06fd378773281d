"""Roles of a server: their attributes, and the roles that each one reaches through memberships."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PUBLIC: Final = "PUBLIC"
"""The name under which rights of everybody are listed; a role of this name is written in quotes."""
SUPERUSER: Final = "SUPERUSER"
LOGIN: Final = "LOGIN"
INHERIT, SET, ADMIN = "INHERIT", "SET", "ADMIN"
MODES: Final = (INHERIT, SET, ADMIN)
"""What a membership gives: the rights themselves, SET ROLE, and the right to make others (and oneself) members."""
_OWN_OPTIONS: Final = 160000
"""Since this version a membership has options of its own; before, the member's attribute decided."""

MEANINGS: Final[Mapping[str, str]] = {
    "pg_read_all_data": "SELECT ON ALL TABLES",
    "pg_write_all_data": "INSERT, UPDATE, DELETE ON ALL TABLES",
    "pg_maintain": "VACUUM, ANALYZE, REINDEX, LOCK TABLE",
    "pg_execute_server_program": "COPY ... PROGRAM",
    "pg_read_server_files": "COPY ... FROM 'FILE'",
    "pg_write_server_files": "COPY ... TO 'FILE'",
    "pg_signal_backend": "pg_terminate_backend()",
    "pg_create_subscription": "CREATE SUBSCRIPTION",
    "pg_checkpoint": "CHECKPOINT",
}
"""Predefined roles, by what they allow without any grant on an object."""


@dataclass(frozen=True, slots=True)
class DbRole:
    """One role with its attributes (`SUPERUSER`, `LOGIN`, ...); a predefined one is the server's own (`pg_monitor`)."""

    oid: int
    name: str
    attributes: frozenset[str]
    predefined: bool = False
    owns_database: bool = False

    @property
    def superuser(self) -> bool:
        """Whether no right is asked for."""
        return SUPERUSER in self.attributes


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` is a member of `group`, with these of `MODES`."""

    member: str
    group: str
    modes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reach:
    """How a role reaches another one: with which of `MODES`, and through which roles (none: directly)."""

    modes: frozenset[str]
    through: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The modes, in the order of GRANT's options."""
        return modes_text(self.modes)


def modes_text(modes: Iterable[str]) -> str:
    """`INHERIT, SET` of a set of modes."""
    given = set(modes)
    return ", ".join(mode for mode in MODES if mode in given)


class RoleGraph:
    """All roles of a server with their memberships, as this version of PostgreSQL follows them."""

    def __init__(self, roles: Iterable[DbRole], memberships: Iterable[Membership], version: int) -> None:
        self.roles = {role.name: role for role in roles}
        self._version = version
        self._edges: dict[str, dict[str, frozenset[str]]] = {}
        for one in memberships:
            of_member = self._edges.setdefault(one.member, {})
            # One membership may have several grantors: what any of them gave is there.
            of_member[one.group] = of_member.get(one.group, frozenset()) | one.modes
        self._reaches: dict[str, dict[str, Reach]] = {}

    def reach(self, name: str) -> Mapping[str, Reach]:
        """Every role that `name` reaches, by name."""
        if name not in self._reaches:
            self._reaches[name] = self._reach(name)
        return self._reaches[name]

    def inheritors(self, name: str) -> tuple[str, ...]:
        """The roles that have all rights of `name`, sorted."""
        return tuple(sorted(other for other in self.roles if INHERIT in self._modes(other, name)))

    def by_set_role(self, name: str) -> tuple[str, ...]:
        """The roles that have the rights of `name` after SET ROLE only, sorted."""
        return tuple(
            sorted(
                other
                for other in self.roles
                if SET in (modes := self._modes(other, name)) and INHERIT not in modes
            )
        )  # fmt: skip

    def _modes(self, member: str, group: str) -> frozenset[str]:
        found = self.reach(member).get(group)
        return found.modes if found else frozenset()

    def _reach(self, name: str) -> dict[str, Reach]:
        inherited = self._paths(name, lambda modes: INHERIT in modes)
        settable = self._paths(name, lambda modes: SET in modes)
        # Who may grant a role: since 16 whoever has its ADMIN option among the inherited ones, before among all.
        holders = inherited if self._version >= _OWN_OPTIONS else self._paths(name, lambda _: True)
        administered: dict[str, tuple[str, ...]] = {}
        for holder, path in ((name, ()), *((other, (*between, other)) for other, between in holders.items())):
            for group, modes in self._edges.get(holder, {}).items():
                if ADMIN in modes:
                    administered.setdefault(group, path)
        found: dict[str, Reach] = {}
        for group in sorted({*inherited, *settable, *administered} - {name}):
            by_mode = {INHERIT: inherited, SET: settable, ADMIN: administered}
            modes = frozenset(mode for mode, groups in by_mode.items() if group in groups)
            found[group] = Reach(modes, next(groups[group] for groups in by_mode.values() if group in groups))
        return found

    def _paths(self, name: str, follows: Callable[[frozenset[str]], bool]) -> dict[str, tuple[str, ...]]:
        """Every role at the end of a chain of memberships that `follows`, with the roles between, fewest first."""
        found: dict[str, tuple[str, ...]] = {}
        ahead: deque[tuple[str, tuple[str, ...]]] = deque([(name, ())])
        while ahead:
            here, between = ahead.popleft()
            for group, modes in sorted(self._edges.get(here, {}).items()):
                if group not in found and group != name and follows(modes):
                    found[group] = between
                    ahead.append((group, (*between, group)))
        return found
