"""Limits, as the runbook writes them: `< 1 %`, `< 1.5 s`, `10..20 %`, `>= 14 d`.

A limit is parsed once, kept in the base unit of its kind (ratio, seconds, bytes, plain count) and printed
in two ways: `str(limit)` for programs (`< 0.01`), `limit.text` for people (`< 1%`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import join, say
from opsverify.units import UNITS, quantity, scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.language.message import Message


_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "==": lambda value, bound: value == bound,
}
_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"  # thousands as a limit's own text has them
_ONE_SIDED = re.compile(rf"(<=|>=|==|<|>)\s*({_NUMBER})\s*([A-Za-z%]*)")
_RANGE = re.compile(rf"({_NUMBER})\s*([A-Za-z%]*)\s*\.\.\s*({_NUMBER})\s*([A-Za-z%]*)")


@dataclass(frozen=True)
class Limit:
    """One bound (`op`, `bound`) or a closed range (`op` is `..`, `bound` to `upper`) in base unit `unit`."""

    op: str
    bound: float
    unit: str
    upper: float = math.inf

    @classmethod
    def parse(cls, text: str, unit: str) -> Limit:
        """Read a limit of kind `unit` (a key of `UNITS`).

        Raises ValueError naming the expected form, with an example of the right kind.
        """
        spellings = UNITS[unit]
        example = f'"<= 5{" " if max(spellings, key=len) else ""}{next(iter(spellings))}"'
        if match := _ONE_SIDED.fullmatch(text.strip()):
            op, number, suffix = match.groups()
            first = upper = ""
        elif match := _RANGE.fullmatch(text.strip()):
            number, first, upper, suffix = match.groups()
            op = ".."
            if _float(upper) < _float(number):
                raise ValueError(say('"{text}" is an empty range: expected the smaller number first', text=text))
        else:
            raise ValueError(
                say(
                    '"{text}" is not a limit: expected an operator and a number, such as {example}',
                    text=text,
                    example=example,
                )
            )
        if suffix not in spellings or first not in ("", suffix):
            raise ValueError(
                say(
                    '"{text}" has the wrong unit: expected {units}, such as {example}',
                    text=text,
                    units=_any_of(spellings),
                    example=example,
                )
            )
        factor = spellings[suffix]
        bound, end = (scaled(_plain(each), factor) if each else math.inf for each in (number, upper))
        return cls(op, bound, unit, end)

    def holds(self, value: float) -> bool:
        """Whether `value` (base unit) is within the limit; NaN never is."""
        if self.op == "..":
            return self.bound <= value <= self.upper
        return _HOLDS[self.op](value, self.bound)

    def reaches(self, low: float, high: float) -> bool:
        """Whether some value between `low` and `high` is within the limit."""
        return any(map(self.holds, (low, min(max(self.bound, low), high), high)))

    def __str__(self) -> str:
        if self.op == "..":
            return f"{self.bound:.12g}..{self.upper:.12g}"
        return f"{self.op} {self.bound:.12g}"

    @property
    def text(self) -> str:
        """The limit with a unit that reads well: `< 1%`, `<= 30m`."""
        if self.op == "..":
            return f"{quantity(self.bound, self.unit)}..{quantity(self.upper, self.unit)}"
        return f"{self.op} {quantity(self.bound, self.unit)}"


NONE: Final = Limit("==", 0, "count")
"""Exactly zero."""


def _any_of(spellings: dict[str, float]) -> Message:
    return join(say(" or "), (spelling or say("no unit") for spelling in spellings))


def _plain(number: str) -> str:
    return number.replace(",", "")


def _float(number: str) -> float:
    return float(_plain(number))
