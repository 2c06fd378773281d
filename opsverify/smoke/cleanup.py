"""Cleanup after a journey: every row written under its tag is removed, or the tag is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.probes.eventually import eventually

if TYPE_CHECKING:
    from opsverify.config.secrets import Secrets
    from opsverify.core.check import Check


LATE_ROWS_S = 0.5
"""Between two looks for rows of a journey that broke off."""


def remove_traces(check: Check, secrets_of_target: Secrets, tag: str, *, settled: bool) -> None:
    """Remove all rows written under `tag`. Raises Inconclusive, naming the tag, where some may be left.

    `settled` says that the journey saw all that it set going come to its end. If it did not, the platform may still
    be writing: rows are then removed until two looks in a row find none.
    """
    from opsverify.probes.cleanup import RowsLeft, remove_synthetic  # noqa: PLC0415 - probes are imported when used

    postgres, synthetic = check.target.postgres, check.target.synthetic
    cleanup = synthetic.cleanup
    if postgres is None or cleanup is None:
        return

    def remove() -> int:
        return remove_synthetic(
            postgres,
            cleanup.user,
            secrets_of_target.of(cleanup.password),
            synthetic.tables,
            synthetic.tag_column,
            tag,
            check.attach,
        ).total

    if settled:
        remove()
        return
    refused: list[Inconclusive] = []
    removed: list[int] = []

    def remove_late_ones() -> int:
        try:
            removed.append(remove())
        except RowsLeft:
            removed.append(1)
        except Inconclusive as error:
            refused.append(error)
        return sum(removed[-2:])

    eventually(
        remove_late_ones,
        until=lambda _late: removed[-2:] == [0, 0],
        stop_when=lambda _late: bool(refused),
        deadline_s=check.limits.journey_wait.bound,
        every_s=LATE_ROWS_S,
        what="the journey's last rows",
        record=check.attach,
    )
    if refused:
        raise refused[0]
    if removed[-1]:
        raise Inconclusive(f"synthetic rows of {tag!r} are still being written: stop what writes them, and clean again")
