"""Verbs of the shop: what `python -m sandbox VERB --profile shop` does."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sandbox.home import Control
from sandbox.shop.profile import Shop

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_STOPPED = 3


def run(arguments: argparse.Namespace, progress: Callable[[str], None]) -> int:
    """Carry out one verb; 0 done, 3 (status) not everything runs. Raises SandboxError."""
    given = {name: value for name in ("rate", "canary_share") if (value := getattr(arguments, name, None)) is not None}
    shop = Shop(arguments.home, getattr(arguments, "port_base", None), progress=progress, **given)
    verb: str = arguments.verb
    if verb == "up":
        shop.up()
        _say(f"target file: {shop.target}")
    elif verb == "down":
        shop.down()
    elif verb == "status":
        return _status(shop)
    elif verb == "faults":
        for fault in shop.faults():
            _say(f"{fault.name:28}{'|'.join(fault.scopes):20}{fault.ko if arguments.lang == 'ko' else fault.en}")
    elif verb == "fault":
        shop.fault(arguments.name, arguments.scope, off=arguments.off)
        _say(f"fault {arguments.name} is {'off' if arguments.off else 'on'}")
    elif verb == "traffic":
        Control(shop.home).update(lambda state: replace(state, **given))
    elif verb == "backup":
        _say(json.dumps(asdict(shop.backup()), default=str, indent=2))
    elif verb == "destroy-db":
        _say(f"database destroyed at {shop.destroy_db().isoformat()}")
    else:
        _say(json.dumps(asdict(shop.restore(arguments.target_time)), default=str, indent=2))
    return 0


def _status(shop: Shop) -> int:
    components = shop.status()
    for name, state in components.items():
        _say(f"{name:14}{state}")
    for fault, scope in Control(shop.home).read().faults.items():
        _say(f"fault {fault} is on ({scope})")
    return 0 if all(state.startswith("running") for state in components.values()) else _STOPPED


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
