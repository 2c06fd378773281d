"""Command line `python -m sandbox VERB`, the same as `opsverify sandbox VERB`."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from opsverify.cli.parser import CommandParser
from sandbox import remedies
from sandbox.core import Sandbox
from sandbox.errors import SandboxError
from sandbox.home import DEFAULT_CANARY_SHARE, DEFAULT_PORT_BASE, DEFAULT_RATE, REPOSITORY, Control

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

_FAILED = 1
_STOPPED = 3
JUDGMENT, SHOP = "judgment", "shop"


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; 0 done, 1 could not be done, 3 (status) not everything runs, 4 wrong usage."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)
    if getattr(arguments, "profile", JUDGMENT) == SHOP:
        return _ended(lambda: _shop(arguments))
    sandbox = Sandbox(
        arguments.home,
        getattr(arguments, "port_base", None),
        rate=_or(getattr(arguments, "rate", None), DEFAULT_RATE),
        canary_share=_or(getattr(arguments, "canary_share", None), DEFAULT_CANARY_SHARE),
        progress=_progress(),
    )
    return _ended(lambda: _VERBS[arguments.verb](sandbox, arguments))


def _ended(work: Callable[[], int]) -> int:
    try:
        return work()
    except SandboxError as error:
        _say(f"error: {error}", sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        _say("interrupted", sys.stderr)
        return 128 + signal.SIGINT


def _shop(arguments: argparse.Namespace) -> int:
    from sandbox.shop import cli as shop  # noqa: PLC0415 - only for this profile

    return shop.run(arguments, _progress())


def _up(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.up()
    if not arguments.no_backup and not (sandbox.settings.data_dir / "backups" / "base").is_dir():
        _first_backup(sandbox)
    settings = sandbox.settings
    _say(f"sandbox up: judgment service {settings.url('edge')}, Prometheus {settings.url('prometheus')}")
    _say(f"target file: {sandbox.target}")
    return 0


def _first_backup(sandbox: Sandbox) -> None:
    """Make the first backup and record: with them a rehearsal of the new sandbox has what it needs."""
    from opsverify.cli.ledger import capture  # noqa: PLC0415 - only here

    report = _progress()
    report("first base backup")
    sandbox.backup()
    report(capture(str(sandbox.target), REPOSITORY).splitlines()[0])


def _down(sandbox: Sandbox, _: argparse.Namespace) -> int:
    sandbox.down()
    return 0


def _status(sandbox: Sandbox, _: argparse.Namespace) -> int:
    components = sandbox.status()
    for name, state in components.items():
        _say(f"{name:14}{state}")
    for fault, scope in Control(sandbox.home).read().faults.items():
        _say(f"fault {fault} is on ({scope})")
    for remedy, how in Control(sandbox.home).read().remedies.items():
        _say(f"remedy {remedy} is {how}")
    return 0 if all(state.startswith("running") for state in components.values()) else _STOPPED


def _faults(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    for fault in sandbox.faults():
        text = fault.ko if arguments.lang == "ko" else fault.en
        _say(f"{fault.name:28}{'|'.join(fault.scopes):20}{text}")
    return 0


def _fault(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.fault(arguments.name, arguments.scope, off=arguments.off)
    _say(f"fault {arguments.name} is {'off' if arguments.off else 'on'}")
    return 0


def _remedies(_: Sandbox, arguments: argparse.Namespace) -> int:
    for remedy in remedies.catalogue().values():
        _say(f"{remedy.name:28}{remedy.playbook:20}{remedy.ko if arguments.lang == 'ko' else remedy.en}")
    return 0


def _remedy(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.remedy(arguments.name, off=arguments.off, effect=not arguments.no_effect)
    state = "withdrawn" if arguments.off else "reported, without effect" if arguments.no_effect else "in force"
    _say(f"remedy {arguments.name} is {state}")
    return 0


def _traffic(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.traffic(arguments.rate, arguments.canary_share)
    state = Control(sandbox.home).read()
    _say(f"traffic: {state.rate:g} judgments/s, canary share {state.canary_share:.0%}")
    return 0


def _scale(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _say(f"the canary is served by {', '.join(sandbox.scale(arguments.pods))}")
    return 0


def _replace_pod(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _say(f"the canary is served by {', '.join(sandbox.replace_pod())}")
    return 0


def _release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.release(arguments.state)
    _say(f"canary release is {arguments.state}")
    return 0


def _migrate(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _say(f"database migration is {sandbox.migrate(arguments.direction)}")
    return 0


def _clear_cache(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _say(f"cache cleared: {sandbox.clear_cache()} judgments removed")
    return 0


def _record_release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _say(f"recorded in {sandbox.record_release(arguments.what, arguments.by)}")
    return 0


def _backup(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _say(json.dumps(asdict(sandbox.backup()), default=str, indent=2))
    return 0


def _destroy_db(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _say(f"database destroyed at {sandbox.destroy_db().isoformat()}")
    return 0


def _regions(_: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.regions import cli as regions  # noqa: PLC0415 - only for this verb

    return regions.run(arguments, _progress())


def _stand(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.restored_platform import serve  # noqa: PLC0415 - only for this verb

    serve(sandbox.home, Path(arguments.folder).resolve(), arguments.database_port, _progress())
    return 0


def _restore(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _say(json.dumps(asdict(sandbox.restore(arguments.target_time)), default=str, indent=2))
    return 0


_VERBS: dict[str, Callable[[Sandbox, argparse.Namespace], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "faults": _faults,
    "fault": _fault,
    "remedies": _remedies,
    "remedy": _remedy,
    "traffic": _traffic,
    "scale": _scale,
    "replace-pod": _replace_pod,
    "release": _release,
    "migrate": _migrate,
    "clear-cache": _clear_cache,
    "record-release": _record_release,
    "backup": _backup,
    "destroy-db": _destroy_db,
    "restore": _restore,
    "regions": _regions,
    "stand": _stand,
}


def _parser() -> CommandParser:
    parser = CommandParser(prog="opsverify sandbox", description="A stand-in of the judgment platform on this machine.")
    common = CommandParser(add_help=False)
    common.add_argument("--home", help="folder of this sandbox (default: $OPSVERIFY_SANDBOX_HOME, or .sandbox)")
    either = CommandParser(add_help=False, parents=[common])
    either.add_argument(
        "--profile", choices=(JUDGMENT, SHOP), default=JUDGMENT, help="the judgment platform, or a shop unlike it"
    )
    flow = CommandParser(add_help=False)
    flow.add_argument("--rate", type=float, help=f"judgments per second (at first {DEFAULT_RATE:g})")
    flow.add_argument("--canary-share", type=float, help=f"share of the canary (at first {DEFAULT_CANARY_SHARE:g})")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", parents=[either, flow], help="start everything and wait until it serves")
    up.add_argument("--port-base", type=int, help=f"first of the ports (default {DEFAULT_PORT_BASE})")
    up.add_argument("--no-backup", action="store_true", help="make no first backup and record")
    verbs.add_parser("down", parents=[either], help="stop everything and delete its data")
    verbs.add_parser("status", parents=[either], help="show what runs and which faults are on")
    faults = verbs.add_parser("faults", parents=[either], help="list the faults and what they do")
    faults.add_argument("--lang", choices=("ko", "en"), default="ko")
    fault = verbs.add_parser("fault", parents=[either], help="switch a fault on or off")
    fault.add_argument("name")
    fault.add_argument("--scope", choices=("all", "canary", "stable"))
    fault.add_argument("--off", action="store_true")
    listed = verbs.add_parser("remedies", parents=[common], help="list the remedies and what they do")
    listed.add_argument("--lang", choices=("ko", "en"), default="ko")
    remedy = verbs.add_parser("remedy", parents=[common], help="apply a remedy, or withdraw it")
    remedy.add_argument("name")
    remedy.add_argument("--off", action="store_true", help="withdraw it")
    remedy.add_argument("--no-effect", action="store_true", help="the platform reports it, and does not act on it")
    verbs.add_parser("traffic", parents=[either, flow], help="set rate and canary share")
    scale = verbs.add_parser("scale", parents=[common], help="serve the canary by so many pods, while it runs")
    scale.add_argument("pods", type=int, help="1 to 3")
    verbs.add_parser("replace-pod", parents=[common], help="replace the canary's newest pod by another, while it runs")
    release = verbs.add_parser("release", parents=[common], help="change what is released")
    release.add_argument("what", choices=("canary",))
    release.add_argument("state", choices=("good", "off"))
    migrate = verbs.add_parser("migrate", parents=[common], help="take the database a migration down, or up")
    migrate.add_argument("direction", choices=("down", "up"))
    verbs.add_parser("clear-cache", parents=[common], help="remove every cached judgment")
    record = verbs.add_parser("record-release", parents=[common], help="write the deployment record")
    record.add_argument("--what", default="rollback", help="what was done (default: rollback)")
    record.add_argument("--by", default="sandbox", help="who signs it off (default: sandbox)")
    verbs.add_parser("backup", parents=[either], help="take a base backup")
    verbs.add_parser("destroy-db", parents=[either], help="the disaster: kill the database and delete its data")
    regions = verbs.add_parser("regions", parents=[common], help="two regions: lose one, then switch back")
    regions.add_argument("step", choices=("up", "promote", "rewind", "switchback", "status", "down"))
    regions.add_argument("--choice", choices=("reverse", "dr_as_standby"), default="dr_as_standby")
    regions.add_argument("--port-base", type=int, help="first of the ports (up only)")
    stand = verbs.add_parser(
        "stand", parents=[common], help="run the platform's release on another database until SIGTERM"
    )
    stand.add_argument("--folder", required=True, help="folder of the platform and of its target.toml")
    stand.add_argument("--database-port", type=int, required=True, help="port of the database on this machine")
    restore = verbs.add_parser("restore", parents=[either], help="restore the database from backup and WAL archive")
    restore.add_argument("--target-time", help="ISO 8601 with time zone (default: all that was archived)")
    return parser


def _progress() -> Callable[[str], None]:
    start = time.monotonic()
    return lambda line: _say(f"[{time.monotonic() - start:5.1f} s] {line}")


def _say(line: str, stream: TextIO | None = None) -> None:
    print(line, file=stream or sys.stdout, flush=True)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
