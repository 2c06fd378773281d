"""Declared rights: a TOML file with one table for each role, written once from the database and then by review."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from opsverify.config.toml_text import read_toml
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.language.message import say
from opsverify.rights.objects import parse_line
from opsverify.rights.roles import MODES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.rights.state import RightsState

SCHEMA: Final = "opsverify.rights/1"
_KEYS: Final = ("attributes", "member_of", "rights")
_HEAD: Final = """\
# Rights of every role in database {database}, as they were on {date} (opsverify rights capture).
# The monthly check `monthly.rights` fails for what is more and for what is missing: change this file with a review.
#   attributes  of the role: LOGIN, SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS
#   member_of   roles that it reaches, also through other roles: INHERIT has their rights, SET may SET ROLE to them,
#               ADMIN may make others members
#   rights      granted to the role itself, or OWNER; "ALL TABLES IN SCHEMA x" are all of them, also those to come;
#               "FUTURE TABLES" are default privileges
"""


@dataclass(frozen=True, slots=True)
class DeclaredRole:
    """What one role may have: attributes, roles with the modes by which it reaches them, and lines of rights."""

    attributes: frozenset[str] = frozenset()
    member_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rights: tuple[tuple[tuple[str, ...], str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredRights:
    """The roles of a declared list."""

    database: str
    roles: Mapping[str, DeclaredRole]


def load(path: Path) -> DeclaredRights:
    """Read a declared list. Raises TargetError with one line for each mistake in it."""
    raw = read_toml(path)
    problems: list[str] = []
    if raw.get("schema") != SCHEMA:
        problems.append(say("{path}: schema is {found!r}; expected {schema!r}", path=path, found=raw.get("schema"),
                            schema=SCHEMA))  # fmt: skip
    roles = raw.get("roles", {})
    if not isinstance(roles, dict):
        problems.append(say("{path}: roles: expected one table for each role, [roles.NAME]", path=path))
        roles = {}
    known: dict[str, DeclaredRole] = {}
    for name, table in roles.items():
        try:
            known[name] = _role(table)
        except ValueError as error:
            problems.append(say("{path}: role {name}: {error}", path=path, name=name, error=error))
    if problems:
        raise TargetError(*problems)
    return DeclaredRights(str(raw.get("database", "")), known)


def dumps(state: RightsState, at: dt.datetime) -> str:
    """The declared list of the rights as they are."""
    roles: dict[str, Any] = {}
    for name in state.names:
        role, reach = state.graph.roles.get(name), state.graph.reach(name)
        table = {
            "attributes": sorted(role.attributes) if role else [],
            "member_of": [f"{group}: {reach[group].text}" for group in state.joined(name)],
            "rights": list(state.index.lines(state.own(name))),
        }
        roles[name] = {key: value for key, value in table.items() if value}
    content = {"schema": SCHEMA, "database": state.database, "roles": roles}
    head = _HEAD.format(database=state.database, date=f"{at:%Y-%m-%d %H:%M} UTC")
    return head + tomli_w.dumps(content, multiline_strings=False)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all. Raises EvidenceError where it is there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    write_atomic(draft, text)
    try:
        os.link(draft, path)  # unlike a rename it fails where the file has come into being meanwhile
    except FileExistsError as error:
        raise EvidenceError(say("{path}: is there already; nothing was written", path=path)) from error
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error}); free or unlock the folder", path=path, error=error.strerror)
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _role(table: object) -> DeclaredRole:
    """Raises ValueError with the key and the expected form."""
    if not isinstance(table, dict) or set(table) - set(_KEYS):
        raise ValueError(say("expected a table with the keys {keys}", keys=", ".join(_KEYS)))
    lists = {key: table.get(key, []) for key in _KEYS}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(say("{key}: expected a list of texts", key=key))
    return DeclaredRole(
        frozenset(lists["attributes"]),
        dict(map(_membership, lists["member_of"])),
        tuple(map(parse_line, lists["rights"])),
    )


def _membership(text: str) -> tuple[str, frozenset[str]]:
    name, colon, modes = text.rpartition(": ")
    given = frozenset(mode.strip() for mode in modes.split(","))
    if not colon or not given <= set(MODES):
        raise ValueError(say("member_of: {text!r}; expected a form such as {example!r}", text=text,
                             example="app_readers: INHERIT, SET"))  # fmt: skip
    return name, given
