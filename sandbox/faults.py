"""Catalogue of faults, and switching one on or off.

`faults.toml` says what there is. Faults of kind `app` are carried out by the platform's processes, which read
them in the control file; those of kind `process` and `sql` are carried out here.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opsverify.language.message import join, say
from sandbox import network, process_faults, sql_faults
from sandbox.errors import WrongUsage
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.home import ControlState
    from sandbox.parts import Parts

_CATALOGUE = Path(__file__).with_name("faults.toml")
_PORT_DEADLINE_S = 30
_PORT_FAULTS = {"mcp_down": "mcp"}
"""Faults of kind `app` that close a port: switching waits until it is closed or open again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be broken; the first of `scopes` is the default."""

    name: str
    kind: Literal["app", "process", "sql"]
    scopes: tuple[str, ...]
    ko: str
    en: str


@cache
def catalogue() -> Mapping[str, Fault]:
    """Every fault by name, in the order of the file."""
    entries = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return {
        name: Fault(name, entry["kind"], tuple(entry["scopes"]), entry["ko"], entry["en"])
        for name, entry in entries.items()
    }


def switch(parts: Parts, name: str, scope: str | None, *, off: bool) -> None:
    """Switch one fault on for `scope` or off; what is so already stays so."""
    fault = known(name)
    state = parts.control.read()
    if off:
        # First the component, then the file: a fault is listed as long as anything of it is left.
        _carry_out(parts, fault, state.faults.get(name, fault.scopes[0]), on=False)
        _record(parts, name, None)
        _await_port(parts, fault, closed=False)
        return
    chosen = scope or fault.scopes[0]
    if chosen not in fault.scopes:
        raise WrongUsage(
            say(
                "fault {name} has no scope {scope}: expected {known}",
                name=name,
                scope=chosen,
                known=join(say(" or "), fault.scopes),
            )
        )
    before = state.faults.get(name)
    if before not in (None, chosen):
        _carry_out(parts, fault, str(before), on=False)
    _record(parts, name, chosen)
    _carry_out(parts, fault, chosen, on=True)
    _await_port(parts, fault, closed=True)


def held_down(state: ControlState) -> frozenset[str]:
    """Return the components that an active fault keeps stopped."""
    return frozenset(
        process_faults.stopped_component(name, scope)
        for name, scope in state.faults.items()
        if name in process_faults.STOPS
    )


def known(name: str) -> Fault:
    """The fault of this name. Raises WrongUsage with the nearest one."""
    try:
        return catalogue()[name]
    except KeyError as error:
        near = difflib.get_close_matches(name, catalogue(), n=1)
        hint = (
            say("did you mean {name}?", name=near[0])
            if near
            else say("{command} lists them", command="'sandbox faults'")
        )
        raise WrongUsage(say("unknown fault {name}: {hint}", name=name, hint=hint)) from error


def _carry_out(parts: Parts, fault: Fault, scope: str, *, on: bool) -> None:
    if fault.kind == "process":
        process_faults.carry_out(parts, fault.name, scope, on=on)
    elif fault.kind == "sql":
        sql_faults.carry_out(parts, fault.name, on=on)


def _record(parts: Parts, name: str, scope: str | None) -> None:
    def change(state: ControlState) -> ControlState:
        others = {known: where for known, where in state.faults.items() if known != name}
        return replace(state, faults=others if scope is None else others | {name: scope})

    parts.control.update(change)


def _await_port(parts: Parts, fault: Fault, *, closed: bool) -> None:
    service = _PORT_FAULTS.get(fault.name)
    if service is not None:
        wait_until(
            lambda: network.listens(parts.settings.ports[service]) != closed, _PORT_DEADLINE_S,
            say("the {service} port to close", service=service)
            if closed
            else say("the {service} port to open", service=service),
        )  # fmt: skip
