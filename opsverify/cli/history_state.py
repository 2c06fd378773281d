"""State of a target's history, for `opsverify doctor`: what is missing or too young to compare with."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from opsverify.cli.doctor_findings import DoctorFinding
from opsverify.cli.history import store_of
from opsverify.errors import EvidenceError
from opsverify.language.message import say
from opsverify.periodic.capture import captures
from opsverify.units import elapsed, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.config.model import Target


def history_findings(target: Target, root: Path) -> Iterator[DoctorFinding]:
    """A finding for each subject that is compared over time."""
    store, now, needed = store_of(root, target), dt.datetime.now(dt.UTC), target.limits.history_distance
    for subject, _ in captures(target):
        try:
            known = store.snapshots(subject, with_rows=False)
        except EvidenceError as error:
            yield DoctorFinding(f"history {subject}", ok=False, text=str(error))
            return
        if not known:
            text = say(
                "no snapshot; `opsverify history capture --target {name}`, comparisons begin then", name=target.name
            )
            yield DoctorFinding(f"history {subject}", ok=False, text=text, lacking=True)
            continue
        age = known[0].age_s(now)
        text = say("{count} snapshots, the oldest {elapsed} old", count=len(known), elapsed=elapsed(max(age, 0.0)))
        if age < needed.bound:
            text += say("; a comparison needs {bound}: wait", bound=quantity(needed.bound, "s"))
        yield DoctorFinding(f"history {subject}", age >= needed.bound, text, lacking=True)
