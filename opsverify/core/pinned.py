"""Pinned checks: the committed list of what a suite holds, against which every plan is compared.

A plan is worked out from what pytest collects. What it does not collect (a module that skips itself, a renamed
file, a setting that narrows) leaves no trace there; the list, `plan.toml` in the suite's folder, names it.
A check whose rows come from the target is pinned once, by the id without brackets; a function whose rows bring
ids of their own (journeys) is pinned as a function.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.plan import Planned
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opsverify.config.model import Target

PINS: Final = "plan.toml"
"""Name of the list in a suite's folder."""
REPIN: Final = "opsverify pin"
"""The command that writes the lists anew."""
_KEYS: Final = ("test", "stages", "lines", "severity", "ko", "en")
_HEAD: Final = f"""\
# The checks of this suite, written by `{REPIN}`; `{REPIN} --check` fails where it is stale.
# A stage whose plan lacks one of them holds, and names it.
"""


@dataclass(frozen=True)
class PinnedCheck:
    """One check of a suite; `test` is its file, relative to the suite, and its function.

    Where the target's rows bring the ids, `test` is the id too, and the function alone is pinned.
    """

    id: str
    test: str
    stages: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    severity: str = ""
    ko: str = ""
    en: str = ""

    @property
    def function_only(self) -> bool:
        """Whether the target's rows bring the ids."""
        return self.id == self.test

    def not_collected(self, suite: str, target: Target) -> Planned:
        """The entry of a plan for a check that was not collected: planned, and never executed."""
        reason = say(
            "pinned in {pins} and not collected from {test}; restore it, or remove it from the list with `{command}`",
            pins=f"{suite}/{PINS}",
            test=f"{suite}/{self.test}",
            command=REPIN,
        )
        return Planned(
            self.id, self.ko, self.en, self.lines, self.severity, target.owner_of(self.id), cannot_run=reason
        )


def dumps(checks: Iterable[PinnedCheck]) -> str:
    """The list as TOML, in the order of ids."""
    return "\n".join([_HEAD, *(_entry(check) for check in sorted(checks, key=lambda check: check.id))])


def loads(text: str) -> tuple[PinnedCheck, ...]:
    """The list in `text`. Raises ValueError for what is no list of checks."""
    return tuple(_check(check_id, table) for check_id, table in tomllib.loads(text).items())


def missing(pins: Iterable[PinnedCheck], stage: str, ids: Iterable[str]) -> Iterator[PinnedCheck]:
    """The pinned checks of `stage` that `ids`, those of its plan, lack."""
    present = frozenset(ids)
    families = {each.partition("[")[0] for each in present}
    for pin in pins:
        if stage in pin.stages and pin.id not in present and ("[" in pin.id or pin.id not in families):
            yield pin


def unpinned(pins: Iterable[PinnedCheck], ids: Iterable[str]) -> tuple[str, ...]:
    """The `ids` that no list names, rows of a family left out."""
    named = {pin.id for pin in pins}
    return tuple(each for each in ids if each not in named and each.partition("[")[0] not in named)


def _entry(check: PinnedCheck) -> str:
    names = ("test",) if check.function_only else _KEYS
    rows = (f"{name} = {_text(getattr(check, name))}" for name in names)
    return "\n".join([f"[{_text(check.id)}]", *rows]) + "\n"


def _text(value: str | tuple[str, ...]) -> str:
    """A TOML string or array: both are written as JSON writes them."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check(check_id: str, table: Any) -> PinnedCheck:  # noqa: ANN401 - any TOML value
    try:
        if table["test"] == check_id:
            return PinnedCheck(check_id, check_id)
        texts = [str(table[name]) for name in ("severity", "ko", "en")]
        return PinnedCheck(check_id, str(table["test"]), tuple(table["stages"]), tuple(table["lines"]), *texts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{check_id}: expected test, stages, lines, severity, ko and en") from error
