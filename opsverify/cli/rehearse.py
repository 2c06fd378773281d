"""`opsverify rehearse`: the whole weekly rehearsal, with nobody at the keyboard."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from opsverify.cli.ledger import newest_target
from opsverify.errors import Inconclusive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def rehearse(target: str, root: Path, report_dir: str | None, pytest_args: Sequence[str] = ()) -> NoReturn:
    """Verify the stage `rehearsal` up to the newest point in time that can be recovered; exit code as `verify`'s.

    Where there is no such point, the stage runs all the same, so that its verdict and evidence say why it holds.
    """
    arguments = ["verify", "rehearsal", "--target", target]
    try:
        moment = newest_target(target, root)
        sys.stdout.write(f"rehearsal: newest recovery target {moment.isoformat()}\n")
        arguments += ["--recovery-target", moment.isoformat()]
    except Inconclusive as error:
        sys.stdout.write(f"rehearsal: no recovery target: {error}\n")
    if report_dir is not None:
        arguments += ["--report-dir", report_dir]
    if pytest_args:
        arguments += ["--", *pytest_args]
    sys.stdout.flush()
    # In this process's place, so that a job's signals and the exit code are the stage's own.
    os.execv(sys.executable, [sys.executable, "-m", "opsverify", *arguments])  # noqa: S606 - no shell, our interpreter
