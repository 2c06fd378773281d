"""Catalogue of remedies, and applying or withdrawing one.

`remedies.toml` says what there is. Remedies of kind `app` are carried out by the platform's processes, which read them
in the control file; those of kind `sql` are carried out here.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opsverify.language.message import say
from sandbox import sql_faults
from sandbox.errors import WrongUsage
from sandbox.home import ACTED_ON, REPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.home import ControlState
    from sandbox.parts import Parts
    from sandbox.postgres import Cluster

_CATALOGUE = Path(__file__).with_name("remedies.toml")
MOST_CONNECTIONS = 20
"""Connections that the service may hold under the remedy `connection_limit`."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that an operator can do; `playbook` verifies it."""

    name: str
    playbook: str
    kind: Literal["app", "sql"]
    ko: str
    en: str


@cache
def catalogue() -> Mapping[str, Remedy]:
    """Every remedy by name, in the order of the file."""
    entries = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return {name: Remedy(name, **entry) for name, entry in entries.items()}


def switch(parts: Parts, name: str, *, off: bool, effect: bool = True) -> None:
    """Apply one remedy or withdraw it; without `effect` the platform reports it and does not act on it."""
    if name not in catalogue():
        near = difflib.get_close_matches(name, catalogue(), n=1)
        hint = (
            say("did you mean {name}?", name=near[0])
            if near
            else say("there are {known}", known=", ".join(catalogue()))
        )
        raise WrongUsage(say("unknown remedy {name}: {hint}", name=name, hint=hint))
    if catalogue()[name].kind == "sql":
        _OF_CLUSTER[name](parts.cluster, on=effect and not off)

    def change(state: ControlState) -> ControlState:
        others = {known: how for known, how in state.remedies.items() if known != name}
        return replace(state, remedies=others if off else others | {name: ACTED_ON if effect else REPORTED})

    parts.control.update(change)


def _limit_connections(cluster: Cluster, *, on: bool) -> None:
    with cluster.superuser() as connection:
        # Not a parameter: ALTER ROLE takes none.
        connection.execute(
            "ALTER ROLE judgment_app CONNECTION LIMIT 20" if on else "ALTER ROLE judgment_app CONNECTION LIMIT -1"
        )


def _roll_rules_back(cluster: Cluster, *, on: bool) -> None:
    sql_faults.activate_rules(cluster, newest=not on)


_OF_CLUSTER = {"connection_limit": _limit_connections, "rule_rollback": _roll_rules_back}
"""Every remedy of kind `sql`, by what carries it out."""
