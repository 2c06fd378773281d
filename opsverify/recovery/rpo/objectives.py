"""RPO and RTO of one recovery, as plain arithmetic over the moments that were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True)
class Rpo:
    """What was lost: the time between the last recovered commit and the disaster."""

    recovered_to: dt.datetime
    disaster_at: dt.datetime

    @property
    def loss_s(self) -> float:
        """Seconds of data lost."""
        return (self.disaster_at - self.recovered_to).total_seconds()


@dataclass(frozen=True)
class Rto:
    """How long recovery took, in seconds from its start: to the target, to read-write, to validated."""

    to_target_s: float
    to_read_write_s: float
    to_validated_s: float | None = None

    @property
    def total_s(self) -> float:
        """Seconds to the latest point reached: what is compared with the objective."""
        return self.to_read_write_s if self.to_validated_s is None else self.to_validated_s


def rpo(recovered_to: dt.datetime, disaster_at: dt.datetime) -> Rpo:
    """Return the loss between `recovered_to` (the last commit, or the target) and `disaster_at`.

    Raises Inconclusive when the recovery lies after the disaster: one of the two clocks or inputs is wrong.
    """
    if recovered_to > disaster_at:
        raise Inconclusive(
            say(
                "recovered to {recovered_to}, which is after the disaster at {disaster_at}: one of the "
                "two is wrong, or the clocks differ",
                recovered_to=recovered_to.isoformat(),
                disaster_at=disaster_at.isoformat(),
            )
        )
    return Rpo(recovered_to, disaster_at)


def rto(to_target_s: float, to_read_write_s: float, to_validated_s: float | None = None) -> Rto:
    """Return the duration of a recovery from its stages' ends, in seconds from its start.

    Raises Inconclusive when they are out of order.
    """
    ends = [0.0, to_target_s, to_read_write_s, *([] if to_validated_s is None else [to_validated_s])]
    if ends != sorted(ends):
        raise Inconclusive(
            say("recovery stages out of order: {names}", names=", ".join(f"{end:.1f} s" for end in ends[1:]))
        )
    return Rto(to_target_s, to_read_write_s, to_validated_s)
