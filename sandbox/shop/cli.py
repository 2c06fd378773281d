"""Verbs of the shop: what `python -m sandbox VERB --profile shop` does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opsverify.language.message import Message, as_message
from opsverify.language.tell import tell
from sandbox.home import Control
from sandbox.said import active, destroyed, show_json, switched, target_written
from sandbox.shop.profile import Shop

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_STOPPED = 3


def run(arguments: argparse.Namespace, progress: Callable[[str], None]) -> int:
    """Carry out one verb; 0 done, 3 (status) not everything runs. Raises SandboxError."""
    given = {name: value for name in ("rate", "canary_share") if (value := getattr(arguments, name, None)) is not None}
    shop = Shop(
        arguments.home, getattr(arguments, "port_base", None), provider=getattr(arguments, "provider", None),
        progress=progress, **given,
    )  # fmt: skip
    verb: str = arguments.verb
    if verb == "up":
        shop.up()
        tell(target_written(shop.target), arguments.language)
    elif verb == "down":
        shop.down()
    elif verb == "status":
        return _status(shop, arguments.language)
    elif verb == "faults":
        for fault in shop.faults():
            text = Message.of(fault.en, fault.ko)
            tell(as_message(f"{fault.name:28}{'|'.join(fault.scopes):20}") + text, arguments.language)
    elif verb == "fault":
        shop.fault(arguments.name, arguments.scope, off=arguments.off)
        tell(switched(arguments.name, off=arguments.off), arguments.language)
    elif verb == "traffic":
        Control(shop.home).update(lambda state: replace(state, **given))
    elif verb == "backup":
        show_json(shop.backup())
    elif verb == "destroy-db":
        tell(destroyed(shop.destroy_db()), arguments.language)
    else:
        show_json(shop.restore(arguments.target_time))
    return 0


def _status(shop: Shop, language: str) -> int:
    components = shop.status()
    for name, state in components.items():
        tell(as_message(f"{name:14}") + state, language)
    for fault, scope in Control(shop.home).read().faults.items():
        tell(active(fault, scope), language)
    return 0 if all(state.startswith("running") for state in components.values()) else _STOPPED
