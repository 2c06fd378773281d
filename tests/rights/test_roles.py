"""Memberships as each version of PostgreSQL follows them, and the paths by which roles are reached."""

from __future__ import annotations

from opsverify.rights.catalog import members_query, objects_query
from opsverify.rights.roles import ADMIN, INHERIT, SET, DbRole, Membership, Reach, RoleGraph

NOW, BEFORE = 180000, 150000
ALL = frozenset((INHERIT, SET))


def graph(*memberships: tuple[str, str, frozenset[str]], version: int = NOW) -> RoleGraph:
    """Roles a to e with these memberships."""
    roles = [DbRole(number, name, frozenset()) for number, name in enumerate("abcde")]
    return RoleGraph(roles, [Membership(*one) for one in memberships], version)


def test_rights_are_inherited_over_nested_roles_with_the_shortest_way() -> None:
    """Role a is a member of d through b and c."""
    nested = graph(("a", "b", ALL), ("b", "c", ALL), ("c", "d", ALL))
    assert nested.reach("a")["d"] == Reach(ALL, ("b", "c"))
    assert nested.inheritors("d") == ("a", "b", "c")


def test_a_membership_without_inherit_ends_the_chain_of_rights() -> None:
    """By SET ROLE the next role is reached, and further on what may be set from it."""
    nested = graph(("a", "b", frozenset((SET,))), ("b", "c", ALL), ("c", "d", frozenset((INHERIT,))))
    assert nested.reach("a") == {"b": Reach(frozenset((SET,))), "c": Reach(frozenset((SET,)), ("b",))}
    assert nested.by_set_role("c") == ("a",)
    assert nested.inheritors("d") == ("b", "c")


def test_admin_is_reached_by_what_is_inherited_and_before_16_by_every_membership() -> None:
    """Who may grant a role may take it."""
    given = (("a", "b", frozenset((SET,))), ("b", "c", frozenset((ADMIN,))))
    assert "c" not in graph(*given).reach("a")
    assert graph(*given, version=BEFORE).reach("a")["c"] == Reach(frozenset((ADMIN,)), ("b",))


def test_several_grantors_are_one_membership() -> None:
    """What any of them gave is there."""
    assert graph(("a", "b", frozenset((SET,))), ("a", "b", frozenset((INHERIT,)))).reach("a")["b"] == Reach(ALL)


def test_circles_end() -> None:
    """PostgreSQL allows none, and a list of memberships may hold one."""
    assert graph(("a", "b", ALL), ("b", "a", ALL)).reach("a") == {"b": Reach(ALL)}


def test_queries_fit_the_version() -> None:
    """Options of a membership exist since 16, grants on parameters since 15."""
    assert "inherit_option" in members_query(160000)
    assert "rolinherit" in members_query(150000)
    assert "inherit_option" not in members_query(150000)
    assert "pg_parameter_acl" in objects_query(150000)
    assert "pg_parameter_acl" not in objects_query(140000)
