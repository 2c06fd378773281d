"""`opsverify prove`: the fault rows of a project of one's own, each caused, proven and ended on a target."""

from __future__ import annotations

import datetime as dt
import json
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.commands import Ran, run_command
from opsverify.config.load import find_target, load_target
from opsverify.config.project import OWN_SUITE_FOLDERS, is_own_project, project_root
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import Inconclusive, TargetError
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.own_faults.fault_proof import FaultProof
from opsverify.own_faults.fault_row import fault_rows, without_row

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.own_faults.fault_row import FaultRow

_STAGE_S: Final = 3600.0
"""How long one run of a stage may take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument("--check", metavar="ID", help=say("only the rows that make this check fail"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Prove every row: 0 when all are as declared and every own check has one, else 10.

    Raises TargetError where nothing may be caused on the target, or a file is wrong; FaultStillOn where a fault could
    not be ended.
    """
    root, language = project_root(options.target), reader_language(options)
    if not is_own_project(root):
        raise TargetError(
            say("{root}: no project that `opsverify init` made; the built-in rows: ./run proof", root=root)
        )
    file = find_target(options.target, root / "targets").resolve()
    target, _ = load_target(file, with_secrets=False)
    _require_allowed(target)
    suites = [root / name for name in OWN_SUITE_FOLDERS if (root / name).is_dir()]
    rows = fault_rows(suites)
    lacking = without_row(suites, rows) if options.check is None else ()
    chosen = [row for row in rows if options.check is None or options.check in row.red]
    if not chosen:
        raise TargetError(say("{root}: no row of this kind in any *.faults.toml; write one", root=root))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a fault is ended before this process
    began = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    platform = _Target(root, file, root / "reports" / f"prove-{began}")
    try:
        unproven = sum([_prove(row, platform, language) for row in chosen])
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    for check in lacking:
        tell(say("not proven  {check}: no row makes it fail; add one beside it", check=check), language)
    return ExitCode.HOLD if unproven or lacking else ExitCode.PASSED


def _require_allowed(target: Target) -> None:
    if target.environment == "production":
        raise TargetError(say("{name} is production: no fault is caused there", name=target.name))
    if not target.faults.allowed:
        raise TargetError(
            say("{name}: faults may not be caused there; where they may: [faults] allowed = true", name=target.name)
        )


def _prove(row: FaultRow, platform: _Target, language: str) -> bool:
    """Whether the row is not proven; says so, and why."""
    problems = FaultProof(row, platform, lambda text: tell(text, language)).problems()
    if not problems:
        tell(say("proven      {name}", name=row.name), language)
    for problem in problems:
        tell(say("not proven  {name}: {problem}", name=row.name, problem=problem), language)
    return bool(problems)


@dataclass
class _Target:
    """The platform of a target: stages run by `opsverify verify`, each with evidence in a folder of its own."""

    root: Path
    file: Path
    folder: Path
    runs: list[str] = field(default_factory=list)

    def outcomes(self, stage: str, label: str) -> Mapping[str, str]:
        """Run `stage`, and read its verdict."""
        self.runs.append(f"{len(self.runs) + 1:02d}-{stage}-{label}")
        folder = self.folder / self.runs[-1]
        argv = [
            sys.executable, "-m", "opsverify", "verify", stage,
            f"--target={self.file}", f"--report-dir={folder}",
        ]  # fmt: skip
        ran = self.command(argv, _STAGE_S)
        try:
            verdict: dict[str, Any] = json.loads((folder / VERDICT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Inconclusive(
                say("{stage} left no verdict in {folder} ({text})", stage=stage, folder=folder, text=ran.text)
            ) from error
        return {check["id"]: check["outcome"] for check in verdict["checks"]}

    def command(self, argv: Sequence[str], timeout_s: float) -> Ran:
        """Run a command in the project's folder."""
        ran = run_command(argv, timeout_s, str(self.root))
        if ran.trouble == "interrupted":
            raise KeyboardInterrupt
        return ran
