"""Command line `python -m sandbox VERB`, the same as `opsverify sandbox VERB`."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from sandbox import remedies
from sandbox.core import Sandbox
from sandbox.errors import SandboxError
from sandbox.home import DEFAULT_CANARY_SHARE, DEFAULT_RATE, REPOSITORY, Control
from sandbox.parser import SHOP, command_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

_FAILED = 1
_STOPPED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; 0 done, 1 could not be done, 3 (status) not everything runs, 4 wrong usage."""
    arguments = command_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)
    if getattr(arguments, "profile", None) == SHOP:
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
        _print(f"error: {error}", sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        _print("interrupted", sys.stderr)
        return 128 + signal.SIGINT


def _shop(arguments: argparse.Namespace) -> int:
    from sandbox.shop import cli as shop  # noqa: PLC0415 - only for this profile

    return shop.run(arguments, _progress())


def _up(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.up()
    if not arguments.no_backup and not (sandbox.settings.data_dir / "backups" / "base").is_dir():
        _first_backup(sandbox)
    settings = sandbox.settings
    _print(f"sandbox up: judgment service {settings.url('edge')}, Prometheus {settings.url('prometheus')}")
    _print(f"target file: {sandbox.target}")
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
        _print(f"{name:14}{state}")
    for fault, scope in Control(sandbox.home).read().faults.items():
        _print(f"fault {fault} is on ({scope})")
    for remedy, how in Control(sandbox.home).read().remedies.items():
        _print(f"remedy {remedy} is {how}")
    return 0 if all(state.startswith("running") for state in components.values()) else _STOPPED


def _faults(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    for fault in sandbox.faults():
        text = fault.ko if arguments.lang == "ko" else fault.en
        _print(f"{fault.name:28}{'|'.join(fault.scopes):20}{text}")
    return 0


def _fault(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.fault(arguments.name, arguments.scope, off=arguments.off)
    _print(f"fault {arguments.name} is {'off' if arguments.off else 'on'}")
    return 0


def _remedies(_: Sandbox, arguments: argparse.Namespace) -> int:
    for remedy in remedies.catalogue().values():
        _print(f"{remedy.name:28}{remedy.playbook:20}{remedy.ko if arguments.lang == 'ko' else remedy.en}")
    return 0


def _remedy(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.remedy(arguments.name, off=arguments.off, effect=not arguments.no_effect)
    state = "withdrawn" if arguments.off else "reported, without effect" if arguments.no_effect else "in force"
    _print(f"remedy {arguments.name} is {state}")
    return 0


def _traffic(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.traffic(arguments.rate, arguments.canary_share)
    state = Control(sandbox.home).read()
    _print(f"traffic: {state.rate:g} judgments/s, canary share {state.canary_share:.0%}")
    return 0


def _scale(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _print(f"the canary is served by {', '.join(sandbox.scale(arguments.pods))}")
    return 0


def _replace_pod(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _print(f"the canary is served by {', '.join(sandbox.replace_pod())}")
    return 0


def _release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    sandbox.release(arguments.state)
    _print(f"canary release is {arguments.state}")
    return 0


def _migrate(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _print(f"database migration is {sandbox.migrate(arguments.direction)}")
    return 0


def _clear_cache(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _print(f"cache cleared: {sandbox.clear_cache()} judgments removed")
    return 0


def _record_release(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _print(f"recorded in {sandbox.record_release(arguments.what, arguments.by)}")
    return 0


def _backup(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _print(json.dumps(asdict(sandbox.backup()), default=str, indent=2))
    return 0


def _destroy_db(sandbox: Sandbox, _: argparse.Namespace) -> int:
    _print(f"database destroyed at {sandbox.destroy_db().isoformat()}")
    return 0


def _regions(_: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.regions import cli as regions  # noqa: PLC0415 - only for this verb

    return regions.run(arguments, _progress())


def _stand(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    from sandbox.restored_platform import serve  # noqa: PLC0415 - only for this verb

    serve(sandbox.home, Path(arguments.folder).resolve(), arguments.database_port, _progress())
    return 0


def _restore(sandbox: Sandbox, arguments: argparse.Namespace) -> int:
    _print(json.dumps(asdict(sandbox.restore(arguments.target_time)), default=str, indent=2))
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


def _progress() -> Callable[[str], None]:
    start = time.monotonic()
    return lambda line: _print(f"[{time.monotonic() - start:5.1f} s] {line}")


def _print(line: str, stream: TextIO | None = None) -> None:
    print(line, file=stream or sys.stdout, flush=True)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
