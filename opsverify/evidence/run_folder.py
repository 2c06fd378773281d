"""Folder of one run: `reports/<run-id>/`, or the folder given with `--report-dir`."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.files import link_latest, write_atomic
from opsverify.evidence.folder_lock import lock_folder
from opsverify.evidence.json_text import json_text
from opsverify.evidence.once_read import read_json
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsverify.evidence.redact import Redactor

VERDICT = "verdict.json"
PLAN = "plan.json"
RUN = "run.json"
RESULTS = "allure-results"
REFUSED = "verdict.refused"
"""What a `verdict.json` is renamed to that is incomplete, not this run's, or not recorded."""


@dataclass(frozen=True)
class RunFolder:
    """The folder with the evidence of one run; `reports` is set where `latest` should point to it."""

    run_id: str
    path: Path
    reports: Path | None = None
    lock: int | None = None
    """The descriptor that keeps other runs out as long as this process lives, or until `release`."""

    @classmethod
    def create(
        cls, stage: str, started: dt.datetime, reports: Path, report_dir: Path | None, mode: int = 0o700
    ) -> RunFolder:
        """Make the folder of a new run, with `mode` whatever the umask is; its files get the same rights.

        A given folder that holds an earlier run is renamed to `<folder>-<its run id>`, so that an old verdict is
        neither lost nor taken for the new one. Raises TargetError when the folder cannot be used.
        """
        run_id = f"{started:%Y%m%dT%H%M%SZ}-{stage}-{secrets.token_hex(2)}"
        path = report_dir or reports / run_id
        try:
            str(path.resolve()).encode()  # evidence names it
        except UnicodeEncodeError as error:
            raise TargetError(
                say("report folder {path}: no UTF-8 text; rename it, or set LC_ALL=C.UTF-8", path=path)
            ) from error
        try:
            lock = lock_folder(path)
            if report_dir is not None and any((path / name).exists() for name in (VERDICT, PLAN, RUN)):
                path.rename(path.with_name(f"{path.name}-{_run_id_in(path)}"))
                aside, lock = lock, lock_folder(path)
                os.close(aside)
            path.chmod(mode)
            if any(path.iterdir()):
                raise TargetError(
                    say(
                        "--report-dir {path}: holds files of no opsverify run; expected an empty or a new folder",
                        path=path,
                    )
                )
            write_atomic(path / RUN, json.dumps({"run_id": run_id, "stage": stage, "pid": os.getpid()}))
        except (OSError, EvidenceError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise TargetError(
                say(
                    "report folder {path}: cannot be written ({why}); name another with --report-dir",
                    path=path,
                    why=why,
                )
            ) from error
        return cls(run_id, path, None if report_dir else reports, lock)

    def write_json(
        self, name: str, content: dict[str, Any], redactor: Redactor, clean: Mapping[str, Any] | None = None
    ) -> None:
        """Write one JSON file of the run atomically, without secrets; `clean` are fields that hold none."""
        text = json_text({**redactor.data(content), **(clean or {})})
        write_atomic(self.path / name, redactor.noted(text.encode("utf-8", "backslashreplace")))

    def release(self) -> None:
        """Let other runs use the folder."""
        if self.lock is not None:
            os.close(self.lock)

    def refuse_verdict(self) -> None:
        """Leave no `verdict.json` that is none: a later command would have to find that out again."""
        with contextlib.suppress(OSError):
            (self.path / VERDICT).rename(self.path / REFUSED)

    def publish(self) -> None:
        """Let `reports/latest` point here."""
        if self.reports is not None:
            link_latest(self.reports, self.path)


def _run_id_in(path: Path) -> str:
    for name in (VERDICT, RUN):
        try:
            return str(read_json(path / name)["run_id"])
        except (OSError, EvidenceError, LookupError, TypeError):
            continue
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-unknown"


def timestamp(moment: dt.datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as `verdict.json` writes it."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find_run_folder(run: str | None, root: Path) -> Path:
    """The folder of `run`: a folder, an id below `reports`, or None for the newest."""
    if run is None:
        return (root / "reports" / "latest").resolve()
    given = Path(run)
    return given if given.is_dir() else root / "reports" / run
