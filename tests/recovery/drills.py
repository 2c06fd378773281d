"""Whole drills, as the stage `rehearsal` runs them, for tests that look at what they kept."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.recovery.drill.run import Drill, run_drill

if TYPE_CHECKING:
    from opsverify.config.model import Recovery
    from opsverify.recovery.ledger.history import History


def rehearse(recovery: Recovery, history: History | None = None, dbname: str = "postgres") -> Drill:
    """Run a drill of the database `dbname`, and read back what it kept."""
    kept = io.StringIO()
    run_drill(recovery, dbname, None, {}, kept, lambda _text: None, Path(recovery.scratch or ""), history)
    raw = json.loads(kept.getvalue())
    return Drill(**{**raw, "problems": tuple(raw["problems"])})
