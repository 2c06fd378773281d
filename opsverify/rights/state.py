"""State of the rights in a database: roles, objects, and what each role is granted or owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.rights.catalog import ROLES, SERVER, members_query, objects_query
from opsverify.rights.objects import GRANT_OPTION, OWNER, Bits, Held, ObjectIndex
from opsverify.rights.roles import ADMIN, INHERIT, PUBLIC, SET, DbRole, Membership, RoleGraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opsverify.probes.postgres import Postgres

_ATTRIBUTES: Final = {
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
    "rolcanlogin": "LOGIN",
}
_PUBLIC_OID: Final = 0
_DATABASE_OWNER: Final = "pg_database_owner"
_NO_OWNER: Final = ("COLUMN", "FUTURE", "LARGE OBJECTS", "PARAMETER")
"""Kinds that have no owner of their own, or whose owner says nothing more than their text."""
_GENERAL: Final[Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "pg_read_all_data": (("SELECT", ("TABLE", "VIEW", "SEQUENCE")), ("USAGE", ("SCHEMA",))),
    "pg_write_all_data": (
        *((name, ("TABLE", "VIEW")) for name in ("INSERT", "UPDATE", "DELETE")),
        ("USAGE", ("SCHEMA",)),
    ),
    "pg_maintain": (("MAINTAIN", ("TABLE", "VIEW")),),
}
"""Predefined roles that hold rights on objects without a grant."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege of one role on some objects, and who granted it."""

    grantee: str
    privilege: str
    grantor: str
    objects: Bits


class RightsState:
    """The rights in a database as they are; of superusers nothing but that they are ones."""

    def __init__(self, database: str, graph: RoleGraph, index: ObjectIndex, grants: Iterable[Grant]) -> None:
        self.database = database
        self.graph = graph
        self.index = index
        self._grants: dict[str, list[Grant]] = {}
        self._own: dict[str, Held] = {}
        for grant in grants:
            self._grants.setdefault(grant.grantee, []).append(grant)
            held = self._own.setdefault(grant.grantee, {})
            held[grant.privilege] = held.get(grant.privilege, 0) | grant.objects

    @classmethod
    def of(cls, postgres: Postgres) -> RightsState:
        """Read the database. Raises Inconclusive where it cannot be read."""
        server = postgres.row(SERVER)
        roles = [_role(row) for row in postgres.rows(ROLES)]
        memberships = [_membership(row) for row in postgres.rows(members_query(server.version))]
        if any(role.name == _DATABASE_OWNER for role in roles):
            owners = (role.name for role in roles if role.owns_database)
            memberships += [Membership(name, _DATABASE_OWNER, frozenset((INHERIT, SET))) for name in owners]
        index = ObjectIndex()
        grants = _grants(postgres.rows(objects_query(server.version)), roles, index)
        return cls(server.database, RoleGraph(roles, memberships, server.version), index, grants)

    @property
    def names(self) -> tuple[str, ...]:
        """PUBLIC and every role, except the server's own that nobody gave anything."""
        kept = (
            role.name
            for role in self.graph.roles.values()
            if not role.predefined or self.own(role.name) or self.joined(role.name)
        )
        return (PUBLIC, *sorted(kept))

    def joined(self, name: str) -> tuple[str, ...]:
        """The roles that `name` reaches; of a predefined role only those that the server did not give it."""
        role = self.graph.roles.get(name)
        given = bool(role and role.predefined)
        return tuple(other for other in self.graph.reach(name) if not (given and self.graph.roles[other].predefined))

    def own(self, name: str) -> Held:
        """What a role is granted, or owns, itself."""
        role = self.graph.roles.get(name)
        return {} if role and role.superuser else self._own.get(name, {})

    def grantors(self, name: str, privilege: str, objects: Bits) -> tuple[str, ...]:
        """Who granted a privilege on some of these objects."""
        return tuple(
            sorted(
                {
                    grant.grantor
                    for grant in self._grants.get(name, ())
                    if grant.privilege == privilege and grant.objects & objects
                }
            )
        )

    def effective(self, name: str) -> Held:
        """Everything that a role may do: what it, the roles it inherits and everybody are granted, and all of it."""
        role = self.graph.roles.get(name)
        reach = self.graph.reach(name) if role else {}
        inherited = [group for group, how in reach.items() if INHERIT in how.modes]
        return combined(self.index, map(self.own, (name, *inherited, PUBLIC)), inherited, bool(role and role.superuser))


def combined(index: ObjectIndex, parts: Iterable[Held], groups: Iterable[str], superuser: bool) -> Held:  # noqa: FBT001 - a fact
    """Everything that several sets of rights allow together: owners may do all, a grant option includes its right."""
    held: Held = {}
    for part in parts:
        for privilege, objects in part.items():
            held[privilege] = held.get(privilege, 0) | objects
    for group in groups:
        for privilege, kinds in _GENERAL.get(group, ()):
            for kind in kinds:
                held[privilege] = held.get(privilege, 0) | index.kinds.get(kind, 0)
    owned = index.everything if superuser else held.get(OWNER, 0)
    every = _Everything(index.with_parts(owned))
    for privilege, objects in held.items():
        for name in {privilege, privilege.removeprefix(GRANT_OPTION)}:
            every[name] = every.get(name, owned) | objects
    return _Everything(every.owned, {name: index.with_parts(objects | owned) for name, objects in every.items()})


class _Everything(dict[str, Bits]):
    """Rights of which an owner has every one, named or not."""

    def __init__(self, owned: Bits, held: Mapping[str, Bits] | None = None) -> None:
        super().__init__(held or {})
        self.owned = owned

    def __missing__(self, _: str) -> Bits:
        return self.owned


def _grants(rows: Iterable[Any], roles: Iterable[DbRole], index: ObjectIndex) -> list[Grant]:
    by_oid = {role.oid: role for role in roles}
    names = {_PUBLIC_OID: PUBLIC} | {oid: role.name for oid, role in by_oid.items()}
    found = []
    for row in rows:
        objects = 0
        for name, parent in zip(row.names, row.parents, strict=True):
            objects |= index.add(row.kind, name, row.schema, parent)
        owner = names.get(row.owner, str(row.owner))
        if row.kind not in _NO_OWNER:
            found.append(Grant(owner, OWNER, owner, objects))
        for item in row.items:
            grantee, grantor, grantable, privilege = item.split("|")
            who, by = (names.get(int(oid), oid) for oid in (grantee, grantor))
            found.append(Grant(who, privilege, by, objects))
            if grantable == "t":
                found.append(Grant(who, GRANT_OPTION + privilege, by, objects))
    return found


def _named(role: str) -> str:
    """A role may be called PUBLIC, in quotes: its rights are not everybody's."""
    return f'"{role}"' if role == PUBLIC else role


def _role(row: Any) -> DbRole:  # noqa: ANN401 - a row
    attributes = frozenset(text for column, text in _ATTRIBUTES.items() if getattr(row, column))
    return DbRole(row.oid, _named(row.rolname), attributes, row.predefined, bool(row.owns_database))


def _membership(row: Any) -> Membership:  # noqa: ANN401 - a row
    given = {INHERIT: row.inherits, SET: row.sets, ADMIN: row.administers}
    return Membership(_named(row.member), _named(row.group), frozenset(mode for mode, has in given.items() if has))
