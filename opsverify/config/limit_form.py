"""Form of a limit: the one direction in which a limit of the target makes sense, and how large it may be.

A limit that is written the other way round, or without its percent sign, is met by every platform for ever: the
check is then as good as absent, and nothing shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import Message, say
from opsverify.limits import Limit
from opsverify.units import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST: Final[Mapping[str, float]] = {
    "ratio": 1.0, "s": 36_500 * 86_400.0, "bytes": 1e18, "count": 1e12, "usd": 1e12, "times": 1e6,
}  # fmt: skip
"""What no platform exceeds, for each unit: a larger bound is a slip, or a way not to have the limit."""
_DIRECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "<": ("<", "<="), "<=": ("<", "<="), "==": ("<", "<="), ">": (">", ">="), ">=": (">", ">="), "..": ("..",),
}  # fmt: skip
"""For the operator of a default, those that limit the same end. `== 0` is a limit to the upper end too."""


@dataclass(frozen=True)
class LimitForm:
    """What one limit of the target may be: directed as its default is, up to `most` (None: to the unit's own end).

    `gated`: the canary gate proves it statistically, on a share that is neither never nor always.
    """

    default: Limit
    most: float | None = None
    gated: bool = False

    @property
    def unit(self) -> str:
        """The kind of quantity."""
        return self.default.unit

    def read(self, value: object) -> Limit:
        """A limit as the target has it, in text. Raises ValueError with the form that was expected."""
        if isinstance(value, Limit):
            limit = value
        elif isinstance(value, str):
            limit = Limit.parse(value, self.unit)
            self._refuse_forgotten_percent(value, limit)
        else:
            raise ValueError(say('expected text such as "<= 5", not {value!r}', value=value))  # noqa: TRY004 - pydantic's protocol
        self._refuse_unprovable(limit)
        self._refuse_other_direction(limit)
        self._refuse_out_of_range(limit)
        return limit

    def _refuse_forgotten_percent(self, text: str, limit: Limit) -> None:
        highest = limit.upper if limit.op == ".." else limit.bound
        if self.unit == "ratio" and "%" not in text and highest > 1 and math.isfinite(highest):
            raise ValueError(
                say('"{text}" is a limit of {percent}: write "{text} %"', text=text, percent=quantity(highest, "ratio"))
            )

    def _refuse_unprovable(self, limit: Limit) -> None:
        if not self.gated:
            return
        operators = _DIRECTIONS[self.default.op]
        if limit.op not in operators or not 0 < limit.bound < 1:
            first, second = operators
            expected = say("{first} or {second} and a share between 0 % and 100 %", first=first, second=second)
            raise ValueError(
                say("{limit} cannot be a canary's limit: expected {expected}", limit=limit.text, expected=expected)
            )

    def _refuse_other_direction(self, limit: Limit) -> None:
        allowed = _DIRECTIONS[self.default.op]
        if limit.op in allowed or (limit.op == "==" and limit.bound == 0 and "<" in allowed):
            return
        raise ValueError(
            say(
                'expected {direction}, such as "{example}", not {limit}',
                direction=_direction(allowed),
                example=self.default.text,
                limit=limit.text,
            )
        )

    def _refuse_out_of_range(self, limit: Limit) -> None:
        most = _MOST[self.unit] if self.most is None else self.most
        ends = (limit.bound, limit.upper) if limit.op == ".." else (limit.bound,)
        if not all(math.isfinite(end) and 0 <= end <= most for end in ends):
            raise ValueError(
                say(
                    'expected 0 to {most}, such as "{example}", not {limit}',
                    most=quantity(most, self.unit),
                    example=self.default.text,
                    limit=limit.text,
                )
            )
        if limit.bound == 0 and limit.op in (">=", "<"):  # nothing is below zero
            always = say("always met") if limit.op == ">=" else say("never met")
            raise ValueError(
                say(
                    '{limit} is {always}: expected a larger one, such as "{example}"',
                    limit=limit.text,
                    always=always,
                    example=self.default.text,
                )
            )


def _direction(allowed: tuple[str, ...]) -> Message:
    if "<" in allowed:
        return say("a limit to the upper end (<, <=, or == 0)")
    return say("a limit to the lower end (>, >=)") if ">" in allowed else say("a range from one number to another")
