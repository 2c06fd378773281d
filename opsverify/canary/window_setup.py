"""Setup of a window: everything but the samples that a replay of its verdict needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.canary.e_process import EQUAL_WEIGHTS
from opsverify.canary.policy import GateCriterion, Kind, Policy
from opsverify.errors import EvidenceError
from opsverify.language.message import pair, say, unpair

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "opsverify.observation/"
CANARY, BASELINE = "canary", "baseline"
REQUESTS, LLM_COST, PROCESS_START, UP = "requests", "llm_cost", "process_start", "up"
WITHIN_LIMIT = "durations_within_limit"
"""The buckets up to the limit on latency, as they are observed."""
RULE, FIRST_RULE = 3, 2
"""Versions of counting and decision. A file is replayed by the rule that its window was decided by."""
MOST_SKEW_S = 10.0
"""Clocks further apart than this are a finding of their own: alerts and logs cannot be compared with the window."""


AS_BEFORE: Final[dict[str, Any]] = {
    "restarts": None,
    "alert_grace_s": 0.0,
    "shared_grace_s": 0.0,
    "excuse_rollback_only": False,
}
"""Settings of the policy by which windows were decided before rule 3."""

LATER_SETTINGS: Final[dict[str, Any]] = {
    "leaves_gap_out": False,
    "excuse_quiet": False,
    "strict_series": False,
    "awaits_growth": False,
    "alerts_go_on": False,
    "awaits_late": False,
    "doubts_falls": False,
    "finds_scrapers": False,
}
"""Settings that windows of rule 3 had not in the beginning."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A criterion and the signals it is counted by.

    `good_counted`: `bad` names the signal of the good ones (a latency bucket), the rest of the trials are bad.
    `picked_by`: labels by which `bad` picks its series out of the trials' own metric; none, where it is another
    metric. Many clients export a label value only once it happened: trials that carry these labels and have no
    such series had no bad one.
    """

    criterion: GateCriterion
    bad: str
    trials: str
    good_counted: bool = False
    picked_by: tuple[str, ...] = ()
    unproven: str | None = None
    """Why a count of no bad ones proves nothing: their selector never matched (found when the window begins)."""
    seen: tuple[tuple[str, str], ...] = ()
    """Labels of `picked_by` with the values that the baseline's trials had before the window."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One window: `start` in Unix seconds by Prometheus' clock, `skew_s` ahead of this machine's (None: unknown).

    `instance_label`: the label that tells processes apart, where the target names one.
    """

    start: float
    policy: Policy
    counted: tuple[Counted, ...]
    selectors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skew_s: float | None = None
    instance_label: str = ""
    rule: int = RULE
    alike: tuple[tuple[str, str], ...] = ()
    """Pairs of signals that no series had told apart when the window began."""

    @property
    def end(self) -> float:
        """When the longest window is over, Unix seconds."""
        return self.start + self.policy.longest_s

    def dumps(self) -> str:
        """The header line of the evidence file."""
        content = {"schema": f"{SCHEMA}{self.rule}"} | asdict(self)
        for row, one in zip(content["counted"], self.counted, strict=True):
            row["criterion"] |= pair("counted", one.criterion.counted)
            if one.unproven is not None:
                row.update(pair("unproven", one.unproven))
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def loads(cls, line: str) -> Setup:
        """Read the header line. Raises EvidenceError where it is not one."""
        try:
            raw: dict[str, Any] = json.loads(line)
            schema = raw.pop("schema")
            if schema not in (f"{SCHEMA}{FIRST_RULE}", f"{SCHEMA}{RULE}"):
                raise ValueError("another schema")
            if schema == f"{SCHEMA}{FIRST_RULE}":
                raw["rule"] = FIRST_RULE
                raw["policy"] = AS_BEFORE | raw["policy"]
            weights = tuple(raw["policy"].get("fraction_weights", EQUAL_WEIGHTS))  # older windows have none
            raw["policy"] = LATER_SETTINGS | raw["policy"] | {"fraction_weights": weights}
            counted = tuple(map(_counted, raw["counted"]))
            alike = tuple((one, other) for one, other in raw.get("alike", ()))
            return cls(**raw | {"policy": Policy(**raw["policy"]), "counted": counted, "alike": alike})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(
                say("not a header of an observation ({schema}): {error}", schema=f"{SCHEMA}{RULE}", error=error)
            ) from error


def _counted(raw: dict[str, Any]) -> Counted:
    changes: dict[str, Any] = {"criterion": _criterion(raw["criterion"]), "picked_by": tuple(raw["picked_by"])}
    changes["seen"] = tuple((label, value) for label, value in raw.get("seen", ()))
    if raw.get("unproven") is not None:
        changes["unproven"] = unpair(raw, "unproven")
    return Counted(**{name: value for name, value in raw.items() if name != "unproven_ko"} | changes)


def _criterion(raw: dict[str, Any]) -> GateCriterion:
    changes = {"kind": Kind(raw["kind"]), "counted": unpair(raw, "counted")}
    return GateCriterion(**{name: value for name, value in raw.items() if name != "counted_ko"} | changes)
