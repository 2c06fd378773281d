"""Loader of a target file: all problems at once, one line each, with file, key, expected form and nearest name."""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from opsverify.config.anchored import anchored
from opsverify.config.database_source import expand_databases
from opsverify.config.model import Synthetic, Target
from opsverify.config.parts import Part
from opsverify.config.project import SUITES_ROOT, project_root
from opsverify.config.secrets import Secrets, secret_problems, typed_secrets
from opsverify.config.toml_text import read_toml
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

_MULTIPLE: dict[Part, str] = {
    "services": "[services.NAME]", "mcp": "[mcp.NAME]", "changes": "[changes.NAME]", "breakers": "[breakers.NAME]",
}  # fmt: skip
"""Parts of several tables: without one of them the part is not described, also where the key is there."""
_OPTIONAL: tuple[Part, ...] = (
    "regions", "dead_letters", "statements", "retention", "storage", "on_call", "llmops", "rights", "changes",
    "breakers", "incident_llm", "incident_mcp", "incident_db", "incident_cache", "incident_rule",
)  # fmt: skip
"""Parts that a target need neither describe nor declare absent: checks of `regions`, `retention`, `storage`,
`on_call`, `rights`, `changes` and `breakers` then hold, others have defaults."""


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
    known = [path.stem for path in target_files(folder)]
    beside = [str(path) for path in target_files(given.parent)] if given.suffix == ".toml" else []
    raise TargetError(
        say(
            "target {name!r}: no file {candidate}{nearest}; known targets: {known}",
            name=name_or_file,
            candidate=candidates[0],
            nearest=_nearest(name_or_file, beside or known),
            known=", ".join(known) or say("none"),
        )
    )


def target_files(folder: Path) -> list[Path]:
    """The target files of a folder: all of its TOML files but those of another kind."""
    return [path for path in sorted(folder.glob("*.toml")) if may_be_target(path)]


def may_be_target(path: Path) -> bool:
    """Whether a file does not say that it is of another kind, by a `schema` as declared rights have one.

    A target that lacks its name, or cannot be read, has to be named and not passed over.
    """
    try:
        return "schema" not in read_toml(path)
    except TargetError:
        return True


def load_target(path: Path, *, with_secrets: bool = True) -> tuple[Target, Secrets]:
    """Read `path` and the secrets it names (none of them without `with_secrets`: a plan needs none).

    Raises TargetError with one line for every unknown key, missing key, wrong value, undeclared part and
    unset secret.
    """
    raw = read_toml(path)
    if typed := [_in_file(path, line) for line in typed_secrets(raw)]:
        raise TargetError(*typed)  # and nothing else: another line might quote the value
    if not raw:
        raise TargetError(say("{path}: empty; expected a target, such as targets/example-production.toml", path=path))
    problems = [_in_file(path, line) for line in expand_databases(raw, path.parent)]
    target = None
    try:
        target = _target_of(_as_json(raw))
    except ValidationError as error:
        problems += [_in_file(path, _explain(detail)) for detail in error.errors()]
    problems += [_in_file(path, line) for line in _undeclared(raw)]
    if with_secrets:
        problems += [_in_file(path, line) for line in secret_problems(raw, path.parent)]
    if problems or target is None:
        raise TargetError(*problems)
    target = anchored(target, path.parent)
    target = target.model_copy(update={"synthetic": _journeys(target.synthetic, path)})
    return target, Secrets.load(target, path.parent) if with_secrets else Secrets({})


def _in_file(path: Path, problem: str) -> str:
    return say("{path}: {problem}", path=path, problem=problem)


def _journeys(section: Synthetic, target_file: Path) -> Synthetic:
    """The journey files, found beside the target file, in the working directory or in the checkout.

    Raises TargetError with one line for each that is in none of them.
    """
    beside = target_file.parent.resolve()
    found = [
        next(
            (
                str(path)
                for folder in (beside, Path(), project_root(), SUITES_ROOT)
                if (path := folder / name).is_file()
            ),
            None,
        )
        for name in section.journeys
    ]
    missing = [name for name, path in zip(section.journeys, found, strict=True) if path is None]
    if missing and "journeys" in section.model_fields_set:
        raise TargetError(
            *(
                say(
                    "{target_file}: synthetic.journeys: no file {beside}; correct the path, relative to this file",
                    target_file=target_file,
                    beside=beside / name,
                )
                for name in missing
            )
        )
    return section.model_copy(
        update={"journeys": tuple(path or name for path, name in zip(found, section.journeys, strict=True))}
    )


def _as_json(raw: dict[str, Any]) -> bytes:
    # pydantic's strict mode takes TOML's arrays and dates for tuples and dates only in their JSON form.
    return TypeAdapter(dict[str, Any]).dump_json(raw)


@functools.lru_cache(maxsize=1)  # a process that runs a stage loads its target more than once
def _target_of(content: bytes) -> Target:
    return Target.model_validate_json(content)


def _undeclared(raw: dict[str, Any]) -> Iterator[str]:
    absent = raw.get("absent", ())
    for part in get_args(Part):
        described = bool(raw[part]) or part not in _MULTIPLE if part in raw else False
        if not described and part not in absent and part not in _OPTIONAL:
            yield say(
                '{part}: missing table {table}; describe it, or add "{part}" to absent if this platform has none',
                part=part,
                table=_MULTIPLE.get(part, f"[{part}]"),
            )
        if part in raw and part in absent:
            yield say("absent: names {part}, which is described as well; remove one of them", part=part)


def _explain(detail: ErrorDetails) -> str:
    location = detail["loc"]
    key = key_of(detail)
    match detail["type"]:
        case "extra_forbidden":
            names = _keys_next_to(location)
            return say("{key}: unknown key{hint}", key=key, hint=_nearest(str(location[-1]), names))
        case "missing":
            return say("{key}: missing; expected {expected}", key=key, expected=_expected(location))
        case "value_error":
            return say("{key}: {error}", key=key, error=detail["ctx"]["error"])
        case "literal_error" if location[0] == "absent":
            given, parts = str(detail["input"]), get_args(Part)
            return say(
                "absent: no part {given!r}{hint}; parts: {parts}",
                given=given,
                hint=_nearest(given, parts),
                parts=", ".join(parts),
            )
        case _:
            # A table is not quoted: what was meant to be one may be a secret.
            model = _model_at(location)
            given = "" if model else say(", not {given!r}", given=detail["input"])
            return say("{key}: {problem}{given}", key=key, problem=problem_of(detail), given=given)


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
