"""`opsverify incident`: the verbs of an incident that is no recovery's step, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.cli.parser import Command, add_commands
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

VERBS: Final[Mapping[str, Command]] = {
    "report": Command(
        "opsverify.cli.incident_report",
        say("the draft of the report (RCA): HTML and Markdown, what is empty is named"),
        ("opsverify incident report --target production",),
    ),
}
"""Every verb, with its module and its line in `opsverify incident --help`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_commands(parser, VERBS, "VERB")
