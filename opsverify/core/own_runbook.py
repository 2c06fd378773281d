"""Own runbook of a project: lines added to ours, and lines of ours that are out of scope, as its file has them."""

from __future__ import annotations

import datetime as dt
import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from opsverify.core.stages import STAGES
from opsverify.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$")]
_NAMED: Final = 3
"""Names that an error lists at most."""


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
        own = OwnRunbook.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TargetError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        faults = (f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors())
        raise TargetError(*faults) from error
    if problems := tuple(_faults(path, own, built_in)):
        raise TargetError(*problems)
    return own


def _faults(path: Path, own: OwnRunbook, built_in: Collection[str]) -> Iterator[str]:
    ids = [row.id for row in own.line]
    known = {*built_in, *ids}
    for row in own.line:
        if row.id in built_in or ids.count(row.id) > 1:
            yield f"{path}: line {row.id}: the id is taken; choose one of your own, such as own/{row.id.split('/')[-1]}"
        for stage in row.stages:
            if stage not in STAGES:
                yield f"{path}: line {row.id}: unknown stage {stage!r}{_nearest(stage, STAGES)}"
    today = dt.datetime.now(dt.UTC).date()
    for scope in own.out_of_scope:
        if scope.line not in known:
            yield f"{path}: out_of_scope: unknown line {scope.line!r}{_nearest(scope.line, known)}"
        if scope.since > today:
            yield f"{path}: out_of_scope {scope.line}: {scope.since} is in the future: give the day it was decided"


def _nearest(word: str, known: Iterable[str]) -> str:
    names = get_close_matches(word, list(known), _NAMED)
    return f"; did you mean {' or '.join(names)}?" if names else ""
