"""Proof of one fault row: the stage while all is well, the fault, the stage again, and the fault's end in any case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from opsverify.core.stages import nearest
from opsverify.errors import Inconclusive, OpsVerifyError
from opsverify.language.message import say
from opsverify.own_faults.fault_row import matches
from opsverify.probes.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opsverify.commands import Ran
    from opsverify.own_faults.fault_row import FaultRow

_PASS = "pass"  # noqa: S105 - an outcome
_RED = ("fail", "inconclusive")


class FaultStillOn(OpsVerifyError):  # noqa: N818 - a state of the platform
    """A fault that could not be ended: nothing more is done on this platform."""


class FaultPlatform(Protocol):
    """What a proof does on the platform."""

    def outcomes(self, stage: str, label: str) -> Mapping[str, str]:
        """Run `stage` and return the outcome of each check. Raises Inconclusive without a verdict."""

    def command(self, argv: Sequence[str], timeout_s: float) -> Ran:
        """Run one of the row's commands."""


@dataclass(frozen=True)
class FaultProof:
    """One row, proven on one platform; `tell` is told what is done."""

    row: FaultRow
    platform: FaultPlatform
    tell: Callable[[str], None]

    def problems(self) -> tuple[str, ...]:
        """What is not as the row declares; nothing is caused where its checks do not pass to begin with.

        Raises FaultStillOn where the fault could not be ended.
        """
        row = self.row
        try:
            healthy = self.platform.outcomes(row.stage, "healthy")
        except Inconclusive as error:
            return (say("without the fault: {error}", error=error),)
        if found := tuple(self._unfit(healthy)):
            return found
        self.tell(say("fault on: {on}; to end it by hand: {off}", on=_text(row.on), off=_text(row.off)))
        try:
            faulty = self._with_fault()
        except Inconclusive as error:
            return (str(error),)
        finally:
            self._end()
        return tuple(self._wrong(healthy, faulty))

    def _unfit(self, healthy: Mapping[str, str]) -> Iterator[str]:
        for pattern in self.row.red:
            meant = [check for check in healthy if matches(pattern, check)]
            if not meant:
                stage, hint = self.row.stage, nearest(pattern, healthy)
                yield say("{stage} has no check {name!r}{hint}", stage=stage, name=pattern, hint=hint)
            for check in meant:
                if healthy[check] != _PASS:
                    yield say(
                        "{check} is {outcome} without the fault; a check that does not pass proves nothing",
                        check=check,
                        outcome=healthy[check],
                    )

    def _with_fault(self) -> Mapping[str, str]:
        row = self.row
        ran = self.platform.command(row.on, row.within_s)
        if not ran.ok:
            raise Inconclusive(say("on: {argv}: {text}", argv=_text(row.on), text=ran.text))
        if row.until and not self._until(ok=True):
            raise Inconclusive(
                say("until: {argv}: no effect of the fault within {within}", argv=_text(row.until), within=row.within)
            )
        return self.platform.outcomes(row.stage, "fault")

    def _until(self, *, ok: bool) -> bool:
        row = self.row
        return eventually(
            lambda: self.platform.command(row.until, row.within_s).ok is ok,
            bool,
            deadline_s=row.within_s,
            what="the fault's effect",
        )

    def _end(self) -> None:
        row = self.row
        try:
            ran = self.platform.command(row.off, row.within_s)
            text = "" if ran.ok else ran.text
        except KeyboardInterrupt:
            text = "interrupted"
        if text:
            raise FaultStillOn(
                say("off: {argv}: {text}; the fault is still on, end it by hand", argv=_text(row.off), text=text)
            )
        if row.until and not self._until(ok=False):
            raise FaultStillOn(
                say("off: {argv}: the fault's effect has not ended within {within}", argv=_text(row.off),
                    within=row.within)
            )  # fmt: skip

    def _wrong(self, healthy: Mapping[str, str], faulty: Mapping[str, str]) -> Iterator[str]:
        for pattern, expected in self.row.red.items():
            for check in (check for check in healthy if matches(pattern, check)):
                if faulty.get(check) != expected:
                    yield say(
                        "{check} must be {expected} with the fault, and is {outcome}",
                        check=check,
                        expected=expected,
                        outcome=faulty.get(check, "missing"),
                    )
        declared = (*self.row.red, *self.row.also)
        for check, outcome in faulty.items():
            turned = outcome in _RED and healthy.get(check) == _PASS
            if turned and not any(matches(pattern, check) for pattern in declared):
                yield say("{check} is {outcome} with the fault: not declared", check=check, outcome=outcome)


def _text(argv: Sequence[str]) -> str:
    return " ".join(argv)
