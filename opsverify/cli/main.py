"""The command line: `opsverify COMMAND`, one module a command, imported when the command is given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from opsverify.cli.parser import Command, CommandParser, add_commands
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import OpsVerifyError, TargetError
from opsverify.plain import PlainStream, plain_line, plain_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Final[Mapping[str, Command]] = {
    "verify": Command("opsverify.cli.verify", "run a stage's whole plan and decide"),
    "act": Command("opsverify.cli.act", "carry out what a run's verdict decided (shows it, without --yes)"),
    "rollout": Command("opsverify.cli.rollout", "expand the canary step by step, each step verified"),
    "plan": Command("opsverify.cli.plan", "print a stage's plan; contacts nothing"),
    "doctor": Command("opsverify.cli.doctor", "what can be reached, with which rights, what each stage would lack"),
    "report": Command("opsverify.cli.report", "build the HTML report of a run (default: the newest)"),
    "clean": Command("opsverify.cli.clean", "remove synthetic rows that killed journeys left on a target"),
    "evidence": Command("opsverify.cli.evidence", "verify that evidence is complete, unaltered and signed"),
    "ledger": Command("opsverify.cli.ledger", "capture: record core tables and catalog, to prove a later recovery"),
    "dr": Command(
        "opsverify.cli.recovery",
        "target, heartbeat, declare, mark, status, report: what a recovery needs, and its record",
    ),
    "rehearse": Command("opsverify.cli.rehearse", "the weekly rehearsal, unattended: newest target, verdict, page"),
    "gate": Command("opsverify.cli.gate", "replay: work a canary's decision out again from its observation"),
    "sandbox": Command("opsverify.cli.sandbox", "up, down, status, faults, fault NAME [--off]: the stand-in platform"),
}
"""Every command, with its module and its line in `opsverify --help`."""
OWN_OUTPUT: Final = (["verify"], ["plan"], ["sandbox"])
"""Commands that hand the streams to pytest, whose plugin guards them, or show nothing of a service."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the contract of the design page."""
    own, passed_on = _split(list(sys.argv[1:] if argv is None else argv))
    parser = CommandParser("opsverify", description="The operation runbook, executed.")
    add_commands(parser, COMMANDS, "COMMAND")
    options = parser.parse_args(own)
    guarded = () if own[:1] in OWN_OUTPUT else ("stdout", "stderr")
    for name in guarded:
        setattr(sys, name, PlainStream(getattr(sys, name)))
    try:
        code: int = options.run(options, passed_on)
    except TargetError as error:
        for problem in error.problems:
            sys.stderr.write(f"opsverify: {plain_line(problem)}\n")
        return ExitCode.USAGE
    except OpsVerifyError as error:
        sys.stderr.write(f"opsverify: {plain_lines(str(error))}\n")
        return ExitCode.HOLD
    finally:
        for name in guarded:
            setattr(sys, name, getattr(sys, name).wrapped)
    return code


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """A command's own arguments, and those it passes on: all that follow `--`, of `sandbox` all."""
    if arguments[:1] == ["sandbox"]:
        return arguments[:1], arguments[1:]
    if "--" not in arguments:
        return arguments, []
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


if __name__ == "__main__":
    sys.exit(main())
