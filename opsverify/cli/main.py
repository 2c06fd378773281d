"""The command line: `opsverify verify|act|rollout|plan|doctor|report|dr|rehearse|sandbox`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.recovery import add_recovery
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.core.stages import STAGES
from opsverify.errors import OpsVerifyError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the contract of the design page."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["sandbox"]:
        return _sandbox(arguments[1:])
    own, pytest_args = _split(arguments)
    options = _parser().parse_args(own)
    try:
        code: int = options.run(options, pytest_args)
    except TargetError as error:
        for problem in error.problems:
            sys.stderr.write(f"opsverify: {problem}\n")
        return ExitCode.USAGE
    except OpsVerifyError as error:
        sys.stderr.write(f"opsverify: {error}\n")
        return ExitCode.HOLD
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("opsverify", description="The operation runbook, executed.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    verify = commands.add_parser(
        "verify", help="run a stage's whole plan and decide", epilog="after --: pytest arguments"
    )
    _stage_and_target(verify)
    verify.add_argument("--window", help="how long a canary is observed, such as 12m")
    verify.add_argument("--report-dir", help="put the run's evidence directly in this folder")
    _recovery_target(verify)
    verify.add_argument("--allow-short-window", action="store_true", help="accept less than the runbook's window")
    verify.add_argument("-n", dest="workers", metavar="N", help="run checks in N processes (pytest-xdist)")
    verify.add_argument("--rolled-back-at", metavar="TIME", help="when the rollback began (ISO 8601)")
    verify.add_argument("--switched-at", metavar="TIME", help="when traffic was given to the other region (ISO 8601)")
    verify.add_argument("--share", help="the share of traffic the canary should receive, such as 50%%")
    verify.set_defaults(run=_verify)

    act = commands.add_parser("act", help="carry out what a run's verdict decided (shows it, without --yes)")
    act.add_argument("run_folder", metavar="RUN", help="a run's id or folder, or latest")
    act.add_argument("--target", metavar="NAME_OR_FILE", help="default: the target the verdict names")
    _permission(act)
    act.set_defaults(run=_act)

    rollout = commands.add_parser("rollout", help="expand the canary step by step, each step verified")
    rollout.add_argument("--target", required=True, metavar="NAME_OR_FILE")
    rollout.add_argument("--window", help="how long each step is observed, such as 12m")
    rollout.add_argument("--allow-short-window", action="store_true", help="accept less than the runbook's window")
    _permission(rollout)
    rollout.set_defaults(run=_rollout)

    plan = commands.add_parser("plan", help="print a stage's plan; contacts nothing")
    _stage_and_target(plan)
    _recovery_target(plan)
    plan.add_argument("--json", action="store_true", help="print the plan as JSON")
    plan.set_defaults(run=_plan)

    doctor = commands.add_parser("doctor", help="what can be reached, with which rights, what each stage would lack")
    doctor.add_argument("--target", required=True, metavar="NAME_OR_FILE")
    doctor.set_defaults(run=_doctor)

    report = commands.add_parser("report", help="build the HTML report of a run (default: the newest)")
    report.add_argument("run_folder", nargs="?", metavar="RUN", help="run id or folder")
    report.add_argument("--language", choices=("ko", "en"), help="default: the target's")
    report.set_defaults(run=_report)

    evidence = commands.add_parser("evidence", help="verify that evidence is complete, unaltered and signed")
    evidence.add_argument("run_folder", nargs="?", metavar="RUN", help="run id or folder (default: newest)")
    evidence.add_argument("--public-key", metavar="FILE", help="ed25519 key (PEM); without it only sums count")
    evidence.set_defaults(run=_evidence)

    ledger = commands.add_parser("ledger", help="capture: record core tables and catalog, to prove a later recovery")
    ledger.add_argument("action", choices=("capture",))
    ledger.add_argument("--target", required=True, metavar="NAME_OR_FILE")
    ledger.set_defaults(run=_ledger)

    add_recovery(commands)

    gate = commands.add_parser("gate", help="replay: work a canary's decision out again from its observation")
    gate.add_argument("action", choices=("replay",))
    gate.add_argument("file", metavar="FILE", help="observation.jsonl.gz of a run, or the run's folder")
    gate.set_defaults(run=_gate)

    commands.add_parser("sandbox", help="up, down, status, faults, fault NAME [--off]: the stand-in platform")
    return parser


def _stage_and_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--target", required=True, metavar="NAME_OR_FILE", help="targets/NAME.toml, or a file")


def _permission(parser: argparse.ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--yes", action="store_true", help="do it (default: actions.unattended of the target)")
    either.add_argument("--dry-run", action="store_true", help="only show what would be done")


def _recovery_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recovery-target", metavar="TIME", help="the point the database was recovered to (ISO 8601)")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


class _Witness:
    """Sees which verdict a run reached: pytest also returns 0 for `--version`, which verifies nothing."""

    concluded: int | None = None

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Note the exit code of the verdict."""
        plugin = config.pluginmanager.get_plugin("opsverify-stage")
        self.concluded = plugin.run.concluded if plugin else None


def _pytest(options: argparse.Namespace, *arguments: str) -> int:
    # Only the plugins named here: others must neither slow a gate down nor change its selection.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest  # noqa: PLC0415 - 0.2 s, not for --help

    from opsverify.pytest_plugin.exit_status import exit_status  # noqa: PLC0415

    root = project_root()
    os.chdir(root)  # pytest finds no conftest.py from elsewhere; every path was made absolute before
    witness = _Witness()
    status = pytest.main(
        [
            f"--rootdir={root}",
            f"--config-file={root / 'pyproject.toml'}",
            f"--confcutdir={root}",
            "-popsverify.pytest_plugin.plugin",
            f"--stage={options.stage}",
            f"--target={target_argument(options.target)}",
            *arguments,
        ],
        plugins=[witness],
    )
    return exit_status(int(status), witness.concluded)


def _verify(options: argparse.Namespace, pytest_args: list[str]) -> int:
    arguments = (
        ["-pallure_pytest.plugin", "-pxdist.plugin", "-pxdist.looponfail"]
        if options.workers
        else ["-pallure_pytest.plugin"]
    )
    if options.workers:
        arguments += ["-n", options.workers]
    if options.window:
        arguments.append(f"--window={options.window}")
    if options.recovery_target:
        arguments.append(f"--recovery-target={options.recovery_target}")
    if options.report_dir:
        arguments.append(f"--report-dir={Path(options.report_dir).resolve()}")
    if options.rolled_back_at:
        arguments.append(f"--rolled-back-at={options.rolled_back_at}")
    if options.switched_at:
        arguments.append(f"--switched-at={options.switched_at}")
    if options.share:
        arguments.append(f"--share={options.share}")
    if options.allow_short_window:
        arguments.append("--allow-short-window")
    return _pytest(options, *arguments, *pytest_args)


def _act(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.release.act import act  # noqa: PLC0415 - only for this command

    target = target_argument(options.target) if options.target else None
    return act(options.run_folder, target, project_root(), yes=options.yes, dry_run=options.dry_run)


def _rollout(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.release.rollout import rollout  # noqa: PLC0415 - only for this command

    arguments = [f"--window={options.window}"] if options.window else []
    arguments += ["--allow-short-window"] if options.allow_short_window else []
    return rollout(target_argument(options.target), project_root(), arguments, yes=options.yes, dry_run=options.dry_run)


def _plan(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.cli.plan import print_plan  # noqa: PLC0415 - only for this command

    more = [f"--recovery-target={options.recovery_target}"] if options.recovery_target else []
    return print_plan(options.stage, target_argument(options.target), project_root(), more, as_json=options.json)


def _doctor(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.cli.doctor import examine  # noqa: PLC0415 - only for this command

    return examine(target_argument(options.target), project_root())


def _report(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.cli.evidence import publish_report  # noqa: PLC0415 - only for this command

    sys.stdout.write(f"{publish_report(options.run_folder, project_root(), options.language)}\n")
    return 0


def _evidence(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.cli.evidence import verify_evidence  # noqa: PLC0415 - only for this command

    return verify_evidence(options.run_folder, options.public_key, project_root())


def _ledger(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.cli.ledger import capture  # noqa: PLC0415 - only for this command

    sys.stdout.write(f"{capture(target_argument(options.target), project_root())}\n")
    return 0


def _gate(options: argparse.Namespace, _pytest_args: list[str]) -> int:
    from opsverify.canary.replay import replay  # noqa: PLC0415 - only for this command

    return replay(Path(options.file), sys.stdout.write)


def _sandbox(arguments: list[str]) -> int:
    # A program of its own: the library never imports the platform it verifies.
    os.chdir(project_root())
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606 - no shell, our interpreter


if __name__ == "__main__":
    sys.exit(main())
