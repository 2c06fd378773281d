"""Own runbook of a project: lines added to ours, and lines of ours that are out of scope, as its file has them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from opsverify.config.toml_text import read_toml
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.core.stages import STAGES, nearest
from opsverify.errors import TargetError
from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OwnLine(_Strict):
    """A line of one's own: id `section/name`, titles, and the stages that have to carry it out."""

    id: _Id
    ko: _Text
    en: _Text
    stages: tuple[str, ...]


class ScopeRow(_Strict):
    """A line that is not carried out on this platform: who decided it, why, and on which day."""

    line: _Id
    owner: _Text
    reason: _Text
    since: dt.date


class OwnRunbook(_Strict):
    """The whole file."""

    line: tuple[OwnLine, ...] = ()
    out_of_scope: tuple[ScopeRow, ...] = ()


def read(path: Path, built_in: Collection[str]) -> OwnRunbook:
    """The own runbook in `path`; `built_in` are the ids of our lines.

    Raises TargetError with one line for each fault.
    """
    try:
        own = OwnRunbook.model_validate(read_toml(path))
    except ValidationError as error:
        faults = (
            say("{path}: {key}: {problem}", path=path, key=key_of(detail), problem=problem_of(detail))
            for detail in error.errors()
        )
        raise TargetError(*faults) from error
    if problems := tuple(_faults(path, own, built_in)):
        raise TargetError(*problems)
    return own


def _faults(path: Path, own: OwnRunbook, built_in: Collection[str]) -> Iterator[Message]:
    ids = [row.id for row in own.line]
    known = {*built_in, *ids}
    for row in own.line:
        if row.id in built_in or ids.count(row.id) > 1:
            own_id = f"own/{row.id.split('/')[-1]}"
            yield say(
                "{path}: line {id}: the id is taken; choose another one: {own_id}", path=path, id=row.id, own_id=own_id
            )
        for stage in row.stages:
            if stage not in STAGES:
                hint = nearest(stage, STAGES)
                yield say(
                    "{path}: line {id}: unknown stage {stage!r}{hint}", path=path, id=row.id, stage=stage, hint=hint
                )
    today = dt.datetime.now(dt.UTC).date()
    for scope in own.out_of_scope:
        if scope.line not in known:
            hint = nearest(scope.line, known)
            yield say("{path}: out_of_scope: unknown line {id!r}{hint}", path=path, id=scope.line, hint=hint)
        if scope.since > today:
            yield say(
                "{path}: out_of_scope {id}: {since} is in the future; give the day it was decided",
                path=path,
                id=scope.line,
                since=scope.since,
            )
