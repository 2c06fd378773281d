"""Source of a database's settings: a connection string, a service file or `PG*` variables, where the target says so.

They are read once, when the target is loaded, and become the keys of the table: what a run connects to is what its
target says, whatever the environment holds later.
"""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PLACES: Final = (
    ("postgres",),
    ("recovery", "source"),
    ("regions", "original", "database"),
    ("regions", "dr", "database"),
)
_FORMS: Final = ("dsn", "service", "from_environment")
_KEYS: Final = {"host": "host", "port": "port", "dbname": "dbname", "sslmode": "sslmode", "user": "user",
                "connect_timeout": "connect_timeout_s"}  # fmt: skip
_NUMBERS: Final = frozenset({"port", "connect_timeout_s"})
_VARIABLES: Final = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGSSLMODE": "sslmode",
    "PGUSER": "user",
}
_WORD: Final = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)\s*")


def expand_databases(raw: dict[str, Any], folder: Path) -> Iterator[str]:
    """Replace `dsn`, `service` and `from_environment` of every database in `raw` by the keys they stand for.

    What the table says itself goes before. One line for each that cannot be read.
    """
    for place in _PLACES:
        table: Any = raw
        for key in place:
            table = table.get(key) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            continue
        name = ".".join(place)
        forms = [form for form in _FORMS if form in table]
        if len(forms) > 1:
            yield say(
                "{name}: {forms} each say where the database is; expected one of them",
                name=name,
                forms=" and ".join(forms),
            )
        elif forms:
            try:
                _fill(table, _read(table, forms[0], folder))
            except (ValueError, OSError, configparser.Error) as error:
                yield f"{name}.{forms[0]}: {str(error).splitlines()[0]}"
        for form in (*_FORMS, "service_file"):
            table.pop(form, None)


def parse_dsn(text: str) -> dict[str, str]:
    """Parameters of a connection string, as a URL or as `key=value` words. Raises ValueError for another form."""
    if text.startswith(("postgresql://", "postgres://")):
        parts = urlsplit(text)
        found = dict(parse_qsl(parts.query))
        address = parts.netloc.rpartition("@")
        host, port = _host(address[2])
        if not host and address[2]:
            raise ValueError(
                say("several hosts or no port number; expected one host, such as postgresql://user@host:5432/db")
            )
        pairs = {"host": unquote(host), "port": port, "dbname": unquote(parts.path.lstrip("/"))}
        pairs["user"] = unquote(address[0].partition(":")[0])
        return {key: value for key, value in pairs.items() if value} | found
    found, rest = {}, text.strip()
    while rest:
        word = _WORD.match(rest)
        if word is None:
            raise ValueError(
                say('not a connection string: expected "host=db dbname=judgment" or postgresql://user@host/db')
            )
        value = word[2]
        found[word[1]] = re.sub(r"\\(.)", r"\1", value[1:-1] if value.startswith("'") else value)
        rest = rest[word.end() :]
    return found


def _host(address: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", address)
    return (match[1].strip("[]"), match[2] or "") if match else ("", "")


def _read(table: Mapping[str, Any], form: str, folder: Path) -> dict[str, str]:
    given = table[form]
    if form == "from_environment":
        if given is not True:
            raise ValueError(say("expected true, or no such key"))
        found = {key: os.environ[name] for name, key in _VARIABLES.items() if os.environ.get(name)}
        return found | ({"password_env": "PGPASSWORD"} if os.environ.get("PGPASSWORD") else {})
    if not isinstance(given, str):
        raise ValueError(say("expected text"))  # noqa: TRY004 - told like every other wrong value
    if form == "dsn":
        return parse_dsn(given)
    path = folder / Path(str(table.get("service_file", "~/.pg_service.conf"))).expanduser()
    services = configparser.RawConfigParser(strict=True, interpolation=None)
    with path.open(encoding="utf-8") as file:
        services.read_file(file)
    if not services.has_section(given):
        known = ", ".join(services.sections()) or "none"
        raise ValueError(say("no service {given!r} in {path}; known: {known}", given=given, path=path, known=known))
    return dict(services.items(given))


def _fill(table: dict[str, Any], found: dict[str, str]) -> None:
    if found.pop("password", None) is not None:
        raise ValueError(
            say('it holds a password; name that one: login = {{ user = "...", password = {{ env = "NAME" }} }}')
        )
    password_env = found.pop("password_env", None)
    unknown = sorted(found.keys() - _KEYS.keys() - {"application_name", "target_session_attrs"})
    if unknown:
        raise ValueError(
            say(
                "parameter {unknown} is not supported; expected {keys}",
                unknown=", ".join(unknown),
                keys=", ".join(_KEYS),
            )
        )
    for parameter, value in found.items():
        key = _KEYS.get(parameter)
        if key == "user":
            login = table.setdefault("login", {})
            if isinstance(login, dict):
                login.setdefault("user", value)
        elif key is not None:
            if key in _NUMBERS and not value.isdecimal():
                raise ValueError(say("{parameter} is no number", parameter=parameter))
            table.setdefault(key, int(value) if key in _NUMBERS else value)
    if password_env and isinstance(table.get("login"), dict):
        table["login"].setdefault("password", {"env": password_env})
