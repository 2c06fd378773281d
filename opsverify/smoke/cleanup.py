"""Cleanup after a journey: every row written under its tag is removed, or the tag is reported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.eventually import eventually
from opsverify.probes.record import Record, discard
from opsverify.smoke.tags import LONGEST_JOURNEY_S, PREFIX, Tag

if TYPE_CHECKING:
    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.core.check import Check


LATE_ROWS_S = 0.5
"""Between two removals of rows of a journey that was aborted."""


def remove_leftovers(
    target: Target,
    target_secrets: Secrets,
    older_than_s: float = LONGEST_JOURNEY_S,
    record: Record = discard,
) -> dict[str, int]:
    """Remove the rows of journeys that were killed; how many, by tag. Rows of a running journey stay.

    Raises Unreachable or Inconclusive where they cannot be found or removed.
    """
    from opsverify.probes.cleanup import remove_synthetic, tags_in  # noqa: PLC0415 - as below

    postgres, synthetic = target.postgres, target.synthetic
    if postgres is None or synthetic.cleanup is None or not synthetic.tables:
        return {}
    login, password = synthetic.cleanup.user, target_secrets.of(synthetic.cleanup.password)
    tables, column = synthetic.tables, synthetic.tag_column
    removed = {}
    for text in tags_in(postgres, login, password, tables, column, PREFIX):
        tag = Tag.parse(text)
        if tag is not None and tag.is_left_over(time.time(), older_than_s):
            removed[text] = remove_synthetic(postgres, login, password, tables, column, text, record).total
    return removed


def remove_rows(check: Check, target_secrets: Secrets, tag: str, *, finished: bool) -> None:
    """Remove all rows written under `tag`. Raises Inconclusive, naming the tag, where some may be left.

    `finished` means that everything the journey started has ended. If not, the platform may still be
    writing: rows are then removed until two removals in a row find none.
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
            target_secrets.of(cleanup.password),
            synthetic.tables,
            synthetic.tag_column,
            tag,
            check.attach,
        ).total

    if finished:
        remove()
        return
    failures: list[Inconclusive] = []
    removed: list[int] = []

    def remove_late_rows() -> int:
        try:
            removed.append(remove())
        except RowsLeft:
            removed.append(1)
        except Inconclusive as error:
            failures.append(error)
        return sum(removed[-2:])

    eventually(
        remove_late_rows,
        until=lambda _late: removed[-2:] == [0, 0],
        stop_when=lambda _late: bool(failures),
        deadline_s=check.limits.journey_wait.bound,
        every_s=LATE_ROWS_S,
        what="the journey's last rows",
        record=check.attach,
    )
    if failures:
        raise failures[0]
    if removed[-1]:
        raise Inconclusive(
            say("synthetic rows of {tag!r} are still being written; stop what writes them, then remove them", tag=tag)
        )
