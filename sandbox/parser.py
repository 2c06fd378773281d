"""Parser of the command line `opsverify sandbox VERB`: every verb with its arguments, its help and an example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.parser import CommandParser
from opsverify.language.message import LANGUAGES, say
from sandbox.home import DEFAULT_CANARY_SHARE, DEFAULT_PORT_BASE, DEFAULT_RATE, PROVIDER_VARIABLE, PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.language.message import Message

JUDGMENT, SHOP = "judgment", "shop"
LISTS = ("faults", "remedies")
"""Verbs that list what there is, in Korean unless told otherwise."""
EXIT_CODES = (
    say("exit codes:"),
    say("  0   done; status: everything runs"),
    say("  1   could not be done"),
    say("  3   status: not everything runs"),
    say("  4   usage: command line"),
    say("  130 interrupted"),
)
_PROGRAM = "opsverify sandbox"


class SandboxParser(CommandParser):
    """A parser whose help has the sandbox's exit codes."""

    exit_codes = EXIT_CODES


def command_parser() -> SandboxParser:
    """The parser of every verb."""
    parser = SandboxParser(prog=_PROGRAM, description=say("A stand-in of the judgment platform on this machine."))
    parser.examples = ("opsverify sandbox up", "opsverify sandbox fault llm_unparsable --scope canary")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: Message, *parents: SandboxParser, example: str = "") -> SandboxParser:
        below = verbs.add_parser(name, parents=list(parents), help=text, description=text)
        below.examples = (f"{_PROGRAM} {name}{example}",)
        return below

    home = SandboxParser(add_help=False)
    home.add_argument(
        "--home", metavar="DIR", help=say("folder of this sandbox (default: $OPSVERIFY_SANDBOX_HOME, or .sandbox)")
    )
    home.add_argument(
        "--language", "--lang", dest="language", choices=LANGUAGES,
        help=say("ko or en (default: as LC_ALL and LANG ask for; of faults and remedies: ko)"),
    )  # fmt: skip
    either = SandboxParser(add_help=False, parents=[home])
    either.add_argument(
        "--profile", choices=(JUDGMENT, SHOP), default=JUDGMENT, help=say("the judgment platform, or a shop unlike it")
    )
    _verbs_of_both(verb, either)
    _changes(verb, home)
    _regions(verb, home)
    return parser


def _verbs_of_both(verb: Callable[..., SandboxParser], either: SandboxParser) -> None:
    """What may be done to a platform of either profile."""
    flow = SandboxParser(add_help=False)
    flow.add_argument(
        "--rate", type=float, metavar="N", help=say("judgments per second (at first {rate:g})", rate=DEFAULT_RATE)
    )
    flow.add_argument(
        "--canary-share",
        type=float,
        metavar="SHARE",
        help=say("share of the canary (at first {share:g})", share=DEFAULT_CANARY_SHARE),
    )
    up = verb("up", say("start everything and wait until it serves"), either, flow)
    up.add_argument(
        "--port-base",
        type=int,
        metavar="PORT",
        help=say("first of the ports (default: {port})", port=DEFAULT_PORT_BASE),
    )
    up.add_argument(
        "--provider",
        choices=PROVIDERS,
        help=say(
            "how PostgreSQL, Redis, Prometheus and Alertmanager run (default: ${variable}, or processes)",
            variable=PROVIDER_VARIABLE,
        ),
    )
    up.add_argument("--no-backup", action="store_true", help=say("make no first backup and record"))
    verb("down", say("stop everything and delete its data"), either)
    verb("status", say("show what runs and which faults are on"), either)
    verb("faults", say("list the faults and what they do"), either)
    fault = verb("fault", say("switch a fault on or off"), either, example=" llm_unparsable --scope canary")
    fault.add_argument("name", metavar="NAME", help=say("name of the fault: see {command}", command="faults"))
    fault.add_argument("--scope", choices=("all", "canary", "stable"), help=say("which version it is caused in"))
    fault.add_argument("--off", action="store_true", help=say("switch it off"))
    verb("traffic", say("set rate and canary share"), either, flow, example=" --rate 20 --canary-share 0.15")
    verb("backup", say("take a base backup"), either)
    verb("destroy-db", say("the disaster: kill the database and delete its data"), either)
    restore = verb("restore", say("restore the database from backup and WAL archive"), either)
    restore.add_argument(
        "--target-time", metavar="TIME", help=say("ISO 8601 with time zone (default: all that was archived)")
    )


def _changes(verb: Callable[..., SandboxParser], home: SandboxParser) -> None:
    """What a release or a person on call does to the judgment platform."""
    verb("remedies", say("list the remedies and what they do"), home)
    remedy = verb("remedy", say("apply a remedy, or withdraw it"), home, example=" rule_only")
    remedy.add_argument("name", metavar="NAME", help=say("name of the remedy: see {command}", command="remedies"))
    remedy.add_argument("--off", action="store_true", help=say("withdraw it"))
    remedy.add_argument("--no-effect", action="store_true", help=say("the platform reports it, and does not act on it"))
    scale = verb("scale", say("serve the canary by so many pods, while it runs"), home, example=" 3")
    scale.add_argument("pods", type=int, metavar="N", help=say("number of pods: 1 to 3"))
    verb("replace-pod", say("replace the canary's newest pod by another, while it runs"), home)
    release = verb("release", say("change what is released"), home, example=" canary good")
    release.add_argument("what", choices=("canary",), help=say("what is changed: the canary"))
    release.add_argument("state", choices=("good", "off"), help=say("a release without faults, or none"))
    migrate = verb("migrate", say("take the database a migration down, or up"), home, example=" down")
    migrate.add_argument("direction", choices=("down", "up"), help=say("which way the migration goes"))
    verb("clear-cache", say("remove every cached judgment"), home)
    record = verb("record-release", say("write the deployment record"), home)
    record.add_argument(
        "--what", default="rollback", metavar="TEXT", help=say("what was done (default: {what})", what="rollback")
    )
    record.add_argument(
        "--by", default="sandbox", metavar="NAME", help=say("who signs it off (default: {name})", name="sandbox")
    )


def _regions(verb: Callable[..., SandboxParser], home: SandboxParser) -> None:
    """Two regions, and the platform on a restored database."""
    regions = verb("regions", say("two regions: lose one, then switch back"), home, example=" up")
    regions.add_argument(
        "step",
        choices=("up", "promote", "rewind", "switchback", "status", "down"),
        metavar="STEP",
        help=say("what is done: {steps}", steps="up, promote, rewind, switchback, status, down"),
    )
    regions.add_argument(
        "--choice",
        choices=("reverse", "dr_as_standby"),
        default="dr_as_standby",
        help=say("how data come back (runbook 7); default: {choice}", choice="dr_as_standby"),
    )
    regions.add_argument("--port-base", type=int, metavar="PORT", help=say("first of the ports (up only)"))
    stand = verb(
        "stand",
        say("run the platform's release on another database until SIGTERM"),
        home,
        example=" --folder DIR --database-port PORT",
    )
    stand.add_argument(
        "--folder", required=True, metavar="DIR", help=say("folder of the platform and of its target.toml")
    )
    stand.add_argument(
        "--database-port", type=int, required=True, metavar="PORT", help=say("port of the database on this machine")
    )
