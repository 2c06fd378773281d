"""Loader of a target file: all problems at once, one line each, with file, key, expected form and nearest name."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from opsverify.config.model import Part, Target
from opsverify.config.secrets import Secrets, secret_problems, typed_secrets
from opsverify.config.section import Section
from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic_core import ErrorDetails

PATHS = (
    "public_key",
    "base_backup", "wal_archive", "ledger", "scratch", "archive", "sha256", "globals", "config", "log", "folder",
    "ca_file",
)  # fmt: skip
"""Keys of [recovery] and of its tables that are paths relative to the target file."""

_MULTIPLE: dict[Part, str] = {"mcp": "[mcp.NAME]"}
_OPTIONAL: tuple[Part, ...] = ("regions",)
"""Parts that a target need neither describe nor declare absent: checks that need one then hold."""


def find_target(name_or_file: str, folder: Path) -> Path:
    """The file of a target named `NAME` (`folder/NAME.toml`) or given as a path.

    Raises TargetError naming the targets that exist.
    """
    given = Path(name_or_file)
    candidates = [given] if given.suffix == ".toml" else [folder / f"{name_or_file}.toml", given]
    for path in candidates:
        if path.is_file():
            return path
        if path.is_dir():
            raise TargetError(
                say(
                    "target {name!r}: {path} is a directory; name a file in it, such as {path}/NAME.toml",
                    name=name_or_file,
                    path=path,
                )
            )
    known = sorted(path.stem for path in folder.glob("*.toml"))
    raise TargetError(
        say(
            "target {name!r}: no file {candidate}{nearest}; known targets: {known}",
            name=name_or_file,
            candidate=candidates[0],
            nearest=_nearest(name_or_file, known),
            known=", ".join(known) or say("none"),
        )
    )


def load_target(path: Path, *, with_secrets: bool = True) -> tuple[Target, Secrets]:
    """Read `path` and the secrets it names (none of them without `with_secrets`: a plan needs none).

    Raises TargetError with one line for every unknown key, missing key, wrong value, undeclared part and
    unset secret.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise TargetError(
            say("{path}: not UTF-8 text (byte {start}); save it as UTF-8", path=path, start=error.start + 1)
        ) from error
    except OSError as error:
        raise TargetError(say("{path}: cannot be read: {error}", path=path, error=error.strerror)) from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(say("{path}: not valid TOML: {error}", path=path, error=error)) from error
    if typed := [_in_file(path, line) for line in typed_secrets(raw)]:
        raise TargetError(*typed)  # and nothing else: another line might quote the value
    if not text.strip():
        raise TargetError(say("{path}: empty; expected a target, such as targets/example-production.toml", path=path))
    problems: list[str] = []
    target = None
    try:
        target = Target.model_validate_json(_as_json(raw))
    except ValidationError as error:
        problems += [_in_file(path, _explain(detail)) for detail in error.errors()]
    problems += [_in_file(path, line) for line in _undeclared(raw)]
    if with_secrets:
        problems += [_in_file(path, line) for line in secret_problems(raw, path.parent)]
    if problems or target is None:
        raise TargetError(*problems)
    target = _anchored(target, path.parent)
    return target, Secrets.load(target, path.parent) if with_secrets else Secrets({})


def _in_file(path: Path, problem: str) -> str:
    return say("{path}: {problem}", path=path, problem=problem)


def _anchored(target: Target, folder: Path) -> Target:
    """Make the paths that are written relative to the target file independent of it."""

    def absolute(path: str) -> str:
        return str((folder / Path(path).expanduser()).resolve())

    changes: dict[str, Any] = {
        "attestations": {
            name: entry.model_copy(update={"record": absolute(entry.record)})
            for name, entry in target.attestations.items()
        },
        "people": {name: _anchored_paths(person, absolute) for name, person in target.people.items()},
        "services": {name: _anchored_paths(service, absolute) for name, service in target.services.items()},
    }
    if target.recovery is not None:
        changes["recovery"] = _anchored_paths(target.recovery, absolute)
    if target.regions is not None:
        changes["regions"] = _anchored_paths(target.regions, absolute)
    if target.actions.folder is not None:
        changes["actions"] = target.actions.model_copy(update={"folder": absolute(target.actions.folder)})
    return target.model_copy(update=changes)


def _anchored_paths(section: Section, absolute: Callable[[str], str]) -> Section:
    paths = {name: absolute(value) for name in PATHS if isinstance(value := getattr(section, name, None), str)}
    tables = {name: _anchored_paths(value, absolute) for name, value in section if isinstance(value, Section)}
    return section.model_copy(update={**paths, **tables})


def _as_json(raw: dict[str, Any]) -> bytes:
    # pydantic's strict mode takes TOML's arrays and dates for tuples and dates only in their JSON form.
    return TypeAdapter(dict[str, Any]).dump_json(raw)


def _undeclared(raw: dict[str, Any]) -> Iterator[str]:
    absent = raw.get("absent", ())
    for part in get_args(Part):
        if part not in raw and part not in absent and part not in _OPTIONAL:
            yield say(
                '{part}: missing table {table}; describe it, or add "{part}" to absent if this platform has none',
                part=part,
                table=_MULTIPLE.get(part, f"[{part}]"),
            )
        if part in raw and part in absent:
            yield say("absent: names {part}, which is described as well; remove one of them", part=part)


def _explain(detail: ErrorDetails) -> str:
    location = detail["loc"]
    key = ".".join(str(step) for step in location)
    match detail["type"]:
        case "extra_forbidden":
            names = _keys_next_to(location)
            return say("{key}: unknown key{hint}", key=key, hint=_nearest(str(location[-1]), names))
        case "missing":
            return say("{key}: missing; expected {expected}", key=key, expected=_expected(location))
        case "value_error":
            return f"{key}: {detail['msg'].removeprefix('Value error, ')}"
        case _:
            # A table is not quoted: what was meant to be one may be a secret.
            model = _model_at(location)
            given = "" if model else say(", not {given!r}", given=detail["input"])
            problem = f"{detail['msg'][0].lower()}{detail['msg'][1:]}"
            return say("{key}: {problem}{given}", key=key, problem=problem, given=given)


def _keys_next_to(location: tuple[int | str, ...]) -> list[str]:
    model = _model_at(location[:-1])
    return list(model.model_fields) if model else []


def _expected(location: tuple[int | str, ...]) -> str:
    model = _model_at(location[:-1])
    field = model.model_fields.get(str(location[-1])) if model else None
    if field is None:
        return say("a value")
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return say("one of {values}", values=", ".join(get_args(kind)))
    if kind is str:
        return say("text")
    return say("a table of {kind}", kind=kind.__name__) if _is_model(kind) else getattr(kind, "__name__", str(kind))


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Target
    for step in location:
        if model is None:
            return None
        field = model.model_fields.get(str(step))
        if field is not None:
            model = next(_models_in(field.annotation), None)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type expression
    if _is_model(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return say("; did you mean {name!r}?", name=close[0]) if close else ""
