"""Command line `python -m sandbox VERB`, the same as `opsverify sandbox VERB`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from opsverify.language.environment import environment_language
from opsverify.language.message import Message, as_message, say
from opsverify.language.tell import tell
from sandbox import remedies
from sandbox.core import Sandbox
from sandbox.errors import SandboxError, WrongUsage
from sandbox.home import ACTED_ON, DEFAULT_CANARY_SHARE, DEFAULT_RATE, REPORTED, REPOSITORY, Control
from sandbox.parser import LISTS, SHOP, command_parser
from sandbox.said import active, destroyed, message_of, show_json, switched, target_written, timed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

_FAILED = 1
_USAGE = 4
_STOPPED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; 0 done, 1 could not be done, 3 (status) not everything runs, 4 wrong usage."""
    arguments = command_parser().parse_args(argv)
    arguments.language = arguments.language or ("ko" if arguments.verb in LISTS else environment_language())
    signal.signal(signal.SIGTERM, _leave)
    if getattr(arguments, "profile", None) == SHOP:
        return _ended(lambda: _shop(arguments), arguments.language)
    return _ended(lambda: _judgment(arguments), arguments.language)


def _judgment(arguments: argparse.Namespace) -> int:
    sandbox = Sandbox(
        arguments.home,
        getattr(arguments, "port_base", None),
        rate=_or(getattr(arguments, "rate", None), DEFAULT_RATE),
        canary_share=_or(getattr(arguments, "canary_share", None), DEFAULT_CANARY_SHARE),
        provider=getattr(arguments, "provider", None),
        progress=timed(arguments.language),
    )
    return _VERBS[arguments.verb](sandbox, arguments)


def _ended(work: Callable[[], int], language: str) -> int:
    try:
        return work()
    except SandboxError as error:
        tell(say("error: {error}", error=message_of(error)), language, sys.stderr)
        return _USAGE if isinstance(error, WrongUsage) else _FAILED
    except KeyboardInterrupt:
        tell(say("interrupted"), language, sys.stderr)
        return 128 + signal.SIGINT


def _shop(arguments: argparse.Namespace) -> int:
    from sandbox.shop import cli as shop  # noqa: PLC0415 - only for this profile

    return shop.run(arguments, timed(arguments.language))


def _up(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.up()
    if not arguments.no_backup and not (sandbox.settings.data_dir / "backups" / "base").is_dir():
        _first_backup(sandbox, timed(arguments.language))
    settings = sandbox.settings
    running = say(
        "sandbox up: judgment service {service}, Prometheus {prometheus}",
        service=settings.url("edge"),
        prometheus=settings.url("prometheus"),
    )
    tell(running, arguments.language)
    tell(target_written(sandbox.target), arguments.language)
    return 0


def _first_backup(sandbox: Sandbox, report: Callable[[str], None]) -> None:
    """Make the first backup and record: with them a rehearsal of the new sandbox has what it needs."""
    from opsverify.cli.ledger import capture  # noqa: PLC0415 - only here

    report(say("first base backup"))
    sandbox.backup()
    report(as_message(capture(str(sandbox.target), REPOSITORY)).each(lambda text: text.splitlines()[0]))


def _down(sandbox: Sandbox, _: argparse.Namespace) -> int:
    sandbox.down()
    return 0


def _status(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    components = sandbox.status()
    for name, state in components.items():
        tell(as_message(f"{name:14}") + state, arguments.language)
    for fault, scope in Control(sandbox.home).read().faults.items():
        tell(active(fault, scope), arguments.language)
    for remedy, how in Control(sandbox.home).read().remedies.items():
        tell(say("remedy {name} is {how}", name=remedy, how=_HOW[how]), arguments.language)
    return 0 if all(state.startswith("running") for state in components.values()) else _STOPPED


def _faults(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    for fault in sandbox.faults():
        text = Message.of(fault.en, fault.ko)
        tell(as_message(f"{fault.name:28}{'|'.join(fault.scopes):20}") + text, arguments.language)
    return 0


def _fault(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.fault(arguments.name, arguments.scope, off=arguments.off)
    tell(switched(arguments.name, off=arguments.off), arguments.language)
    return 0


def _remedies(_: Sandbox, arguments: argparse.Namespace) -> int:
    for remedy in remedies.catalogue().values():
        text = Message.of(remedy.en, remedy.ko)
        tell(as_message(f"{remedy.name:28}{remedy.playbook:20}") + text, arguments.language)
    return 0


def _remedy(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.remedy(arguments.name, off=arguments.off, effect=not arguments.no_effect)
    applied = say("reported, without effect") if arguments.no_effect else say("in force")
    how = say("withdrawn") if arguments.off else applied
    tell(say("remedy {name} is {how}", name=arguments.name, how=how), arguments.language)
    return 0


def _traffic(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.traffic(arguments.rate, arguments.canary_share)
    state = Control(sandbox.home).read()
    said = say("traffic: {rate:g} judgments/s, canary share {share:.0%}", rate=state.rate, share=state.canary_share)
    tell(said, arguments.language)
    return 0


def _scale(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _served(sandbox.scale(arguments.pods), arguments.language)
    return 0


def _served(pods: Sequence[str], language: str) -> None:
    tell(say("the canary is served by {pods}", pods=", ".join(pods)), language)


def _replace_pod(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _served(sandbox.replace_pod(), arguments.language)
    return 0


def _release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.release(arguments.state)
    tell(say("canary release is {state}", state=arguments.state), arguments.language)
    return 0


def _migrate(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    tell(say("database migration is {revision}", revision=sandbox.migrate(arguments.direction)), arguments.language)
    return 0


def _clear_cache(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    tell(say("cache cleared: {removed} judgments removed", removed=sandbox.clear_cache()), arguments.language)
    return 0


def _record_release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    tell(say("recorded in {file}", file=sandbox.record_release(arguments.what, arguments.by)), arguments.language)
    return 0


def _backup(sandbox: Sandbox, _: argparse.Namespace) -> int:
    show_json(sandbox.backup())
    return 0


def _destroy_db(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    tell(destroyed(sandbox.destroy_db()), arguments.language)
    return 0


def _regions(_: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.regions import cli as regions  # noqa: PLC0415 - only for this verb

    return regions.run(arguments, timed(arguments.language))


def _stand(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.restored_platform import serve  # noqa: PLC0415 - only for this verb

    serve(sandbox.home, Path(arguments.folder).resolve(), arguments.database_port, timed(arguments.language))
    return 0


def _restore(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    show_json(sandbox.restore(arguments.target_time))
    return 0


_HOW: Final = {ACTED_ON: say("on"), REPORTED: say("reported")}
"""States of a remedy, as `status` shows them."""
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


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
