"""The command line: `opsverify COMMAND`, one module a command, imported when the command is given."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from opsverify.cli.machine_fault import machine_fault
from opsverify.cli.parser import Command, CommandParser, add_commands
from opsverify.cli.reader_language import reader_language
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import OpsVerifyError, TargetError
from opsverify.language.message import in_language, say
from opsverify.language.plain import PlainStream, plain_line, plain_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Final[Mapping[str, Command]] = {
    "verify": Command(
        "opsverify.cli.verify",
        say("run a stage's whole plan and decide"),
        (
            "opsverify verify daily --target production",
            "opsverify verify prod-canary --target production --window 12m -n 4",
            say("opsverify verify staging --target staging -- -k alerts   (one check: the verdict holds)"),
        ),
    ),
    "act": Command(
        "opsverify.cli.act",
        say("carry out what a run's verdict decided (shows it, without --yes)"),
        ("opsverify act latest --target production", "opsverify act latest --target production --yes"),
    ),
    "rollout": Command(
        "opsverify.cli.rollout",
        say("expand the canary step by step, each step verified"),
        ("opsverify rollout --target production --window 12m --yes",),
    ),
    "plan": Command(
        "opsverify.cli.plan",
        say("print a stage's plan; contacts nothing"),
        ("opsverify plan weekly --target production",),
    ),
    "pin": Command(
        "opsverify.cli.pin",
        say("write the list of every suite's checks, which no plan may lack"),
        ("opsverify pin", "opsverify pin --check"),
    ),
    "doctor": Command(
        "opsverify.cli.doctor",
        say("what can be reached, with which rights, what each stage would lack"),
        ("opsverify doctor --target production",),
    ),
    "attest": Command(
        "opsverify.cli.attest",
        say("sign for a runbook line that only a person can confirm; --list STAGE prints them"),
        (
            "opsverify attest --list staging --target production",
            "opsverify attest 2-1/bi --target production --by kim --role L2",
        ),
    ),
    "history": Command(
        "opsverify.cli.history",
        say("capture, list: the snapshots that weekly comparisons begin from"),
        ("opsverify history capture --target production", "opsverify history list --target production"),
    ),
    "rights": Command(
        "opsverify.cli.rights",
        say("capture, compare: what each role of the database may do, as a declared list"),
        ("opsverify rights capture --target production", "opsverify rights compare --target production"),
    ),
    "runbook": Command(
        "opsverify.cli.runbook",
        say("every runbook line: what carries it out, the newest result, when"),
        ("opsverify runbook --target production",),
    ),
    "fleet": Command(
        "opsverify.cli.fleet",
        say("a stage on many targets: a plan, a process and an evidence folder for each, one verdict"),
        (
            "opsverify fleet daily --targets 'targets/plants/*.toml' --workers 8",
            "opsverify fleet daily --targets 'targets/plants/*.toml' --plan-only --report-dir reports/fleets",
            "opsverify fleet reports/fleets/latest/fleet-plan.json --unit 3",
        ),
    ),
    "merge": Command(
        "opsverify.cli.merge",
        say("one verdict of a fleet: who is red, missing, altered, delivered twice or not in its plan"),
        (
            "opsverify merge reports/fleets/latest/fleet-plan.json reports/fleets/latest/units/*",
            "opsverify merge fleet-plan.json artifacts/*.tar.zst --public-key release.pub --report-dir fleet",
        ),
    ),
    "report": Command(
        "opsverify.cli.report",
        say("build the HTML report of a run (default: the newest), of a week or month, or the index of all targets"),
        (
            "opsverify report",
            "opsverify report 20261122T201233Z-prod-canary-7f3a --language en",
            "opsverify report weekly --target production",
            "opsverify report index",
        ),
    ),
    "notify": Command(
        "opsverify.cli.notify",
        say("send what waits for a receiver of notifications; --test: a message that shows that each is reached"),
        ("opsverify notify --target production --test",),
    ),
    "clean": Command(
        "opsverify.cli.clean",
        say("remove synthetic rows that killed journeys left on a target"),
        ("opsverify clean --target production",),
    ),
    "evidence": Command(
        "opsverify.cli.evidence",
        say("verify that evidence is complete, unaltered and signed"),
        (
            "opsverify evidence verify latest --public-key release.pub",
            "opsverify evidence prune --keep 20 --older-than 400d",
        ),
    ),
    "ledger": Command(
        "opsverify.cli.ledger",
        say("capture: record core tables and catalog, to prove a later recovery"),
        ("opsverify ledger capture --target production",),
    ),
    "dr": Command(
        "opsverify.cli.recovery",
        say("target, heartbeat, declare, mark, status, report: what a recovery needs, and its record"),
        ("opsverify dr target --target production", "opsverify dr status --target production"),
    ),
    "incident": Command(
        "opsverify.cli.incident",
        say("report: the draft of an incident's report (RCA), from its timeline, runs and alerts"),
        (
            "opsverify incident report --target production",
            "opsverify incident report --since 2026-11-22T20:00:00+09:00 --target production --out rca.md",
        ),
    ),
    "oncall": Command(
        "opsverify.cli.oncall",
        say("escalation: who had to be told by when, whom the calendar names, what is overdue"),
        ("opsverify oncall escalation --target production",),
    ),
    "rehearse": Command(
        "opsverify.cli.rehearse",
        say("the weekly rehearsal, unattended: newest target, verdict, page"),
        ("opsverify rehearse --target production",),
    ),
    "serve": Command(
        "opsverify.cli.serve",
        say("the gate of pipelines: an HTTP server that runs stages and answers Argo Rollouts, Flagger and others"),
        (
            "opsverify serve --make-token flagger",
            "opsverify serve --tokens tokens.toml",
            "opsverify serve --host 0.0.0.0 --certificate tls.crt --key tls.key",
        ),
    ),
    "gate": Command(
        "opsverify.cli.gate",
        say(
            "replay, explain, plan: a canary's decision worked out again, what would change it, "
            "how long a window must be"
        ),
        (
            "opsverify gate replay reports/latest --plot",
            "opsverify gate explain latest",
            "opsverify gate plan --target production",
        ),
    ),
    "sandbox": Command(
        "opsverify.cli.sandbox",
        say("up, down, status, faults, fault NAME [--off]: the stand-in platform"),
        ("opsverify sandbox up", "opsverify sandbox fault llm_unparsable --scope canary"),
    ),
    "completion": Command(
        "opsverify.cli.completion",
        say("bash, zsh, fish: a script that completes commands, stages, targets"),
        (
            'eval "$(opsverify completion bash)"',
            "opsverify completion fish > ~/.config/fish/completions/opsverify.fish",
        ),
    ),
    "init": Command(
        "opsverify.cli.init",
        say("make a project of your own: targets, own checks and journeys, own runbook lines"),
        ("opsverify init my-platform",),
    ),
    "prove": Command(
        "opsverify.cli.prove",
        say("cause the faults of your own fault rows on a test target: exactly the declared checks fail"),
        (
            "opsverify prove --target staging",
            "opsverify prove --target staging --check own.database_clock",
        ),
    ),
    "demo": Command(
        "opsverify.cli.demo",
        say("the stand-in platform through a release: promoted, rolled back, on hold"),
        ("opsverify demo",),
    ),
}
"""Every command, with its module and its line in `opsverify --help`."""
HANDED_ON: Final = ("sandbox", "demo")
"""Commands of another program, which gets every argument."""
OWN_OUTPUT: Final = ("verify", "plan", *HANDED_ON)
"""Commands that hand the streams to pytest, whose plugin guards them, or show nothing of a service."""
_EXAMPLES: Final = (
    say("opsverify doctor --target production      what is reachable, what is missing"),
    say("opsverify plan daily --target production  what would be checked"),
    "opsverify verify daily --target production",
    "opsverify COMMAND --help",
)


class _Version(argparse.Action):
    """Prints the version."""

    def __call__(self, *_: object) -> None:
        sys.stdout.write(import_module("opsverify.cli.version").version_line())
        sys.exit(ExitCode.PASSED)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the contract of the design page."""
    own, passed_on = _split(list(sys.argv[1:] if argv is None else argv))
    parser = CommandParser("opsverify", description=say("The operation runbook, executed."))
    parser.examples = _EXAMPLES
    parser.add_argument("--version", action=_Version, nargs=0, help=say("print the version"))
    # A parser for each of thirty commands takes 15 ms: only help and an unknown command need them all.
    given = {own[0]: COMMANDS[own[0]]} if own and own[0] in COMMANDS else COMMANDS
    add_commands(parser, given, "COMMAND")
    options = parser.parse_args(own)
    guarded = () if own and own[0] in OWN_OUTPUT else ("stdout", "stderr")
    unguarded = {name: getattr(sys, name) for name in guarded}
    for name, stream in unguarded.items():
        setattr(sys, name, PlainStream(stream))
    try:
        code: int = options.run(options, passed_on)
    except TargetError as error:
        for problem in error.problems:
            sys.stderr.write(f"opsverify: {plain_line(in_language(problem, reader_language(options)))}\n")
        return ExitCode.USAGE
    except OpsVerifyError as error:
        sys.stderr.write(f"opsverify: {plain_lines(in_language(str(error), reader_language(options)))}\n")
        return ExitCode.HOLD
    except OSError as error:
        if (fault := machine_fault(error)) is None:
            raise
        sys.stderr.write(f"opsverify: {plain_line(in_language(fault, reader_language(options)))}\n")
        return ExitCode.INTERNAL_ERROR
    finally:
        for name, stream in unguarded.items():  # pytest, where a command collects, has put other streams there
            setattr(sys, name, stream)
    return code


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """A command's own arguments, and those it passes on: all that follow `--`, of `HANDED_ON` all."""
    if arguments and arguments[0] in HANDED_ON:
        return arguments[:1], arguments[1:]
    if "--" not in arguments:
        return arguments, []
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


if __name__ == "__main__":
    sys.exit(main())
