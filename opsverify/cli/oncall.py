"""`opsverify oncall`: the verbs of who is told, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.cli.parser import Command, add_commands
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

VERBS: Final[Mapping[str, Command]] = {
    "escalation": Command(
        "opsverify.cli.oncall_escalation",
        say("who had to be told by when, whom the calendar names, what is overdue"),
        ("opsverify oncall escalation --target production",),
    ),
}
"""Every verb, with its module and its line in `opsverify oncall --help`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_commands(parser, VERBS, "VERB")
