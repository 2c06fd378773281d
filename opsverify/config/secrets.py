"""Secrets of a target: read from the environment and from files, with their values for the redaction."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from opsverify.config.database import SecretRef
from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FORM = frozenset({"env", "file"})
_SECRET_KEY = re.compile(
    r"password|passwd|passphrase|bearer|(^|_)token$|secret|credential|api[-_]?key|private[-_]?key|signing[-_]?key"
    r"|^(x-)?(proxy-)?auth(orization|-token)?$|^cookie$|^x-api-key$",
    re.IGNORECASE,
)
_NO_SECRET = frozenset({"passfile"})
_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]*:[^/\s?#@]+@", re.IGNORECASE)
_IN_QUERY = re.compile(r"://\S*[?&](password|passwd|token|access_token|api_?key|secret)=[^&\s{$]", re.IGNORECASE)
_IN_DSN = re.compile(r"(?<![\w-])(ssl)?password\s*=\s*[^\s{$]", re.IGNORECASE)
_ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
SHORTEST = 6
"""Characters; a shorter secret would mask ordinary words of a report."""


class Secrets:
    """The loaded secrets of one target; `repr` shows none of them."""

    def __init__(self, values: dict[SecretRef, str]) -> None:
        self._values = values

    @classmethod
    def load(cls, section: BaseModel, folder: Path) -> Secrets:
        """Read every secret that `section` names, such as a target; files are relative to `folder`."""
        return cls({ref: _read(ref.env, ref.file, folder) for ref in dict.fromkeys(_references(section))})

    def __getitem__(self, ref: SecretRef) -> str:
        """The value of a secret the target names."""
        return self._values[ref]

    def of(self, ref: SecretRef | None) -> str | None:
        """The value of an optional secret."""
        return None if ref is None else self[ref]

    @property
    def values(self) -> frozenset[str]:
        """Every loaded value, for the redactor."""
        return frozenset(self._values.values())

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that were read."""
        return frozenset(ref.env for ref in self._values if ref.env is not None)

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} loaded)"


def secret_problems(raw: dict[str, Any], folder: Path) -> Iterator[str]:
    """One line for each secret named in the raw target file that is unset, empty or unreadable."""
    problems: dict[tuple[str | None, str | None], TargetError | None] = {}
    for key, table in _tables(raw, ""):
        if len(table) == 1 and _FORM.issuperset(table) and all(isinstance(value, str) for value in table.values()):
            source = table.get("env"), table.get("file")
            if source not in problems:  # many services may have one token
                problems[source] = _problem(*source, folder)
            if error := problems[source]:
                yield say("{key}: {error}", key=key, error=error)


def typed_secrets(raw: Mapping[str, Any]) -> Iterator[str]:
    """One line for each value of a raw target file that is a secret itself; none of them shows it.

    By the key's name (`password`, `bearer`, `token`...: their value is a reference), and by what a URL or a
    connection string holds (`https://user:password@host`, `password=...`).
    """
    for key, name, value in _strings(raw, ""):
        if _is_secret(name):
            yield say(
                '{key}: a secret is typed in; expected {{ env = "NAME" }} or {{ file = "path" }}, and a new secret',
                key=key,
            )
        elif "://" in value and (_IN_URL.search(value) or _IN_QUERY.search(value)):
            yield say(
                "{key}: a URL with a password in it; take it out, name it with bearer or basic, and make a new one",
                key=key,
            )
        elif "=" in value and _IN_DSN.search(value):
            yield say(
                "{key}: a connection string with a password in it; take it out, name it with login.password", key=key
            )


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_KEY.search(name)) and name not in _NO_SECRET


def _strings(value: Any, key: str, name: str = "") -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - TOML
    """Every text below `value`, with its key; the name and the path in a secret's reference are none."""
    if isinstance(value, str):
        yield key, name, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{key}[{number}]", name)
    elif isinstance(value, dict):
        for inner, item in value.items():
            is_reference = inner in _FORM and len(value) == 1
            yield from _strings(item, f"{key}.{inner}".lstrip("."), "" if is_reference else inner)


def _read(env: str | None, file: str | None, folder: Path) -> str:
    value = _raw(env, file, folder)
    if len(value) < SHORTEST:
        source = (
            say("environment variable {name}", name=env)
            if env is not None
            else say("file {path}", path=folder / str(file))
        )
        raise TargetError(
            say(
                "secret in {source} is too short: expected {shortest} characters or more (a shorter one "
                "cannot be removed from reports)",
                source=source,
                shortest=SHORTEST,
            )
        )
    return value


def _problem(env: str | None, file: str | None, folder: Path) -> TargetError | None:
    try:
        _read(env, file, folder)
    except TargetError as error:
        return error
    return None


def _raw(env: str | None, file: str | None, folder: Path) -> str:
    if env is not None:
        # As UTF-8 whatever the locale is: in C, other letters would become bytes that nothing can be compared with.
        value = os.environb.get(os.fsencode(env), b"").decode("utf-8", "replace")
        if not value:
            shown = (
                env
                if _ENV_NAME.fullmatch(env)
                else say("whose name env holds (not shown: it may be the secret itself)")
            )
            raise TargetError(say("secret not set: expected environment variable {shown}", shown=shown))
        return value
    path = folder / Path(str(file)).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or say("not text")
        raise TargetError(
            say("secret not readable: expected text file {path} ({reason})", path=path, reason=reason)
        ) from error


def _references(model: BaseModel) -> Iterator[SecretRef]:
    if isinstance(model, SecretRef):
        yield model
        return
    for value in vars(model).values():
        if value is None or isinstance(value, str | int | float):  # most are: told apart first
            continue
        if isinstance(value, BaseModel):
            yield from _references(value)
        elif isinstance(value, dict | tuple):
            for part in value.values() if isinstance(value, dict) else value:
                if isinstance(part, BaseModel):
                    yield from _references(part)


def _tables(raw: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield name, value
            yield from _tables(value, f"{name}.")
