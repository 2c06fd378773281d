"""Rules of a judgment: thresholds decide the clear cases, the LLM the others."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

Result = Literal["OK", "WARN", "ALARM"]

LINE_CODE = re.compile(r"L\d{2}")
SENSORS = ("temperature", "pressure", "vibration")
CONFIDENCE_RULE = 0.99
CONFIDENCE_FALLBACK = 0.6
_NOTE_LIMIT = 500
_WORSE = {"OK": "ALARM", "WARN": "OK", "ALARM": "OK"}


class InvalidInputError(ValueError):
    """A request body that is not what the API asks for; the message names the field and the form expected."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One request for a judgment: degrees Celsius, bar, mm/s, and an optional remark of an operator."""

    line_code: str
    temperature: float
    pressure: float
    vibration: float
    note: str = ""

    @classmethod
    def parse(cls, body: object) -> Reading:
        """Check a decoded JSON body."""
        if not isinstance(body, dict):
            raise InvalidInputError("the body is not a JSON object")
        line_code = body.get("line_code")
        if not isinstance(line_code, str) or not LINE_CODE.fullmatch(line_code):
            raise InvalidInputError(f"line_code is {line_code!r}, expected L followed by two digits")
        values = {name: _number(name, body.get(name)) for name in SENSORS}
        note = body.get("note", "")
        if not isinstance(note, str) or len(note) > _NOTE_LIMIT:
            raise InvalidInputError(f"note is not a text of at most {_NOTE_LIMIT} characters")
        return cls(line_code=line_code, note=note, **values)

    def to_dict(self) -> dict[str, Any]:
        """The input as it is stored and hashed; an empty note is left out."""
        content: dict[str, Any] = {
            "line_code": self.line_code,
            "temperature": self.temperature,
            "pressure": self.pressure,
            "vibration": self.vibration,
        }
        return content | {"note": self.note} if self.note else content


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{name} is {value!r}, expected a finite number")
    return float(value)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The active rule version: per sensor the value from which it warns, and from which it alarms."""

    version: str
    warn: dict[str, float]
    alarm: dict[str, float]

    @classmethod
    def parse(cls, version: str, body: dict[str, Any]) -> Ruleset:
        """Read the `body` column of `rule_versions`."""
        return cls(
            version=version,
            warn={name: float(body["warn"][name]) for name in SENSORS},
            alarm={name: float(body["alarm"][name]) for name in SENSORS},
        )

    def decide(self, reading: Reading) -> tuple[Result, str]:
        """What the thresholds alone say, and why."""
        values = {name: float(getattr(reading, name)) for name in SENSORS}
        for name, value in values.items():
            if value >= self.alarm[name]:
                return "ALARM", f"{name} {value:g} >= {self.alarm[name]:g}"
        for name, value in values.items():
            if value >= self.warn[name]:
                return "WARN", f"{name} {value:g} >= {self.warn[name]:g}"
        return "OK", "all sensors below their warning thresholds"

    def is_clear(self, reading: Reading) -> bool:
        """Whether the thresholds suffice: a remark, or a value that only warns, wants the LLM's opinion."""
        return not reading.note and self.decide(reading)[0] != "WARN"


def wrong(result: Result) -> Result:
    """A result that is not `result`: what a broken fallback answers."""
    return _WORSE[result]  # type: ignore[return-value]  # the table maps results to results


def cache_key(reading: Reading, rule_version: str, prompt_version: str) -> str:
    """The Redis key of a judgment: equal for equal inputs under equal versions, whatever the key order."""
    # JSON tells -0.0 from 0.0, which are equal.
    inputs = {name: value + 0.0 if isinstance(value, float) else value for name, value in reading.to_dict().items()}
    text = json.dumps([rule_version, prompt_version, inputs], sort_keys=True, ensure_ascii=False)
    return "judgment:" + hashlib.sha256(text.encode()).hexdigest()
