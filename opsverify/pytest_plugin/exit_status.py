"""Exit status of a run: that of its verdict, also after a crash."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from opsverify.core.exit_codes import DECIDED, ExitCode
from opsverify.language.message import say
from opsverify.language.tell import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.language.message import Message
    from opsverify.pytest_plugin.stage_run import StageRun


def conclude(run: StageRun, pytest_status: int) -> int:
    """Conclude `run` and return its exit code; where evidence cannot be written, 3, also after a measured failure."""
    try:
        _, code = run.conclude(pytest_status)
    except Exception as error:  # noqa: BLE001 - any failure here has to end in a hold, never in pytest's own 0
        run.troubles.append(unwritten(run, error))
        verdict = run.judge()
        code = verdict.exit_code(pytest_status)
        code = ExitCode.INTERNAL_ERROR if code in DECIDED else code
        line = {
            "run_id": run.folder.run_id,
            "decision": verdict.decision.value,
            "reasons": list(verdict.reasons),
        }
        sys.stderr.write(run.redactor.text(f"opsverify: {json.dumps(line, ensure_ascii=False)}\n"))
        run.concluded = code
    else:
        _page(run)
    return code


def unwritten(run: StageRun, error: Exception) -> Message:
    """Why a run holds whose evidence cannot be written."""
    return say(
        "evidence cannot be written to {path}: {kind}: {error}",
        path=run.folder.path,
        kind=type(error).__name__,
        error=error,
    )


def _page(run: StageRun) -> None:
    """Build the page of a rehearsal; a page that cannot be built changes no verdict."""
    if run.stage.name != "rehearsal":
        return
    try:
        from opsverify.report.publish import publish_rehearsal  # noqa: PLC0415 - its failure to import is caught

        page = publish_rehearsal(run.folder.path, run.folder.path)
        run.pages.append(str(page))
    except Exception as error:  # noqa: BLE001 - the verdict is written already, and final
        complain(
            run.redactor.text(say("no page: {kind}: {error}", kind=type(error).__name__, error=error)),
            run.target.language,
        )


def exit_status(pytest_status: int, concluded: int | None) -> int:
    """The exit code of the process: the verdict's; without a verdict never that of a decision."""
    if concluded is not None:
        return concluded
    return ExitCode.HOLD if pytest_status in DECIDED else pytest_status


def guard_exit() -> Callable[[], None]:
    """Let no check end this process with a decision's exit code (`os._exit(0)`); return its undoing."""
    leave, process = os._exit, os.getpid()

    def guarded(status: int) -> NoReturn:
        leave(ExitCode.INTERNAL_ERROR if os.getpid() == process and status in DECIDED else status)

    def undo() -> None:
        os._exit = leave

    os._exit = guarded
    return undo
