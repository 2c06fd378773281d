"""`opsverify dr`: the verbs of a recovery, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.cli.parser import Command, add_commands

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

VERBS: Final[Mapping[str, Command]] = {
    "target": Command("opsverify.cli.dr.target", "the newest point in time that can be recovered"),
    "heartbeat": Command(
        "opsverify.cli.dr.heartbeat", "write acknowledged commits down outside of the database, all the time"
    ),
    "declare": Command("opsverify.cli.dr.declare", "declare a disaster: the RTO runs from here"),
    "mark": Command("opsverify.cli.dr.mark", "record that a step of the checklist is done, with its evidence"),
    "repair": Command(
        "opsverify.cli.dr.repair", "keep what is whole of a damaged incident record, and say what was cut"
    ),
    "status": Command("opsverify.cli.dr.status", "what is done, since when, and what the next step needs"),
    "report": Command("opsverify.cli.dr.report", "one page: an incident's, or a rehearsal's"),
}
"""Every verb, with its module and its line in `opsverify dr --help`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_commands(parser, VERBS, "VERB")
