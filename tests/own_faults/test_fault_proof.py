"""Proof of a fault row on a platform that is made up: what counts as proven, and that the fault always ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from opsverify.commands import Ran
from opsverify.errors import Inconclusive
from opsverify.own_faults.fault_proof import FaultProof, FaultStillOn
from opsverify.own_faults.fault_row import FaultRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROW = FaultRow(stage="daily", on=("on",), off=("off",), within="1s", red={"own.flag": "fail"}, also=("daily.*",))
WELL = {"own.flag": "pass", "own.other": "pass", "daily.llm": "pass", "runbook.x": "inconclusive"}
DONE, FAILED = Ran(0, 0.0, ""), Ran(1, 0.0, "")


@dataclass
class Made:
    """A platform with outcomes without and with the fault; `ends` has what a command ends with."""

    faulty: Mapping[str, str] | Exception
    healthy: Mapping[str, str] = field(default_factory=lambda: WELL)
    ends: Mapping[str, Ran | BaseException] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def outcomes(self, stage: str, label: str) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Return the outcomes of this moment."""
        self.done.append(label)
        found = self.healthy if label == "healthy" else self.faulty
        if isinstance(found, Exception):
            raise found
        return found

    def command(self, argv: Sequence[str], timeout_s: float) -> Ran:  # noqa: ARG002 - as above
        """End as declared."""
        self.done.append(argv[0])
        ended = self.ends.get(argv[0], DONE)
        if isinstance(ended, BaseException):
            raise ended
        return ended


def _problems(made: Made, row: FaultRow = ROW) -> list[str]:
    return list(map(str, FaultProof(row, made, lambda _text: None).problems()))


def test_proven() -> None:
    """Healthy first, then the fault, then its end; a declared check fails, one of `also` may."""
    made = Made(WELL | {"own.flag": "fail", "daily.llm": "inconclusive"})
    assert _problems(made) == []
    assert made.done == ["healthy", "on", "fault", "off"]


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        ({}, "own.flag must be fail with the fault, and is pass"),
        ({"own.flag": "inconclusive"}, "own.flag must be fail with the fault, and is inconclusive"),
        ({"own.flag": "fail", "own.other": "fail"}, "own.other is fail with the fault: not declared"),
    ],
)
def test_not_as_declared(faulty: dict[str, str], said: str) -> None:
    """Exactly the declared checks turn red, with the declared outcome."""
    made = Made(WELL | faulty)
    assert _problems(made) == [said]
    assert made.done[-1] == "off"


@pytest.mark.parametrize(
    ("healthy", "said"),
    [
        (WELL | {"own.flag": "fail"}, "own.flag is fail without the fault; a check that does not pass proves nothing"),
        ({"own.flags": "pass"}, "daily has no check 'own.flag'; did you mean 'own.flags'?"),
    ],
)
def test_nothing_is_caused_where_nothing_can_be_proven(healthy: dict[str, str], said: str) -> None:
    """A check that fails anyway, or does not exist, is found before the fault."""
    made = Made({}, healthy)
    assert _problems(made) == [said]
    assert made.done == ["healthy"]


@pytest.mark.parametrize(
    "made",
    [
        Made(Inconclusive("daily left no verdict")),
        Made(WELL, ends={"on": FAILED}),
        Made(WELL, ends={"until": FAILED}),
    ],
    ids=["no_verdict", "on_failed", "no_effect"],
)
def test_the_fault_ends_whatever_happened(made: Made) -> None:
    """No verdict, a command that failed halfway, an effect that never came: the fault is ended all the same."""
    row = ROW.model_copy(update={"until": ("until",), "within": "10ms"})
    if "until" not in made.ends:
        row = ROW
    assert len(_problems(made, row)) == 1
    assert "off" in made.done


def test_an_interrupt_ends_the_fault() -> None:
    """Ctrl-C while the fault is on ends the fault, and goes on."""
    made = Made(WELL, ends={"on": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        _problems(made)
    assert made.done == ["healthy", "on", "off"]


@pytest.mark.parametrize("end", [FAILED, KeyboardInterrupt()], ids=["failed", "interrupted"])
def test_a_fault_that_cannot_be_ended(end: Ran | BaseException) -> None:
    """Nothing more is done on a platform whose fault is still on; the command to end it is named."""
    with pytest.raises(FaultStillOn, match=r"off: off: .*; the fault is still on, end it by hand"):
        _problems(Made(WELL | {"own.flag": "fail"}, ends={"off": end}))
