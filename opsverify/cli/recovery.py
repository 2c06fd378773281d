"""`opsverify dr`: the verbs of a recovery, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.cli.parser import Command, add_commands
from opsverify.language.message import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

VERBS: Final[Mapping[str, Command]] = {
    "target": Command(
        "opsverify.cli.dr.target",
        say("the newest point in time that can be recovered"),
        ("opsverify dr target --target production",),
    ),
    "heartbeat": Command(
        "opsverify.cli.dr.heartbeat",
        say("write acknowledged commits down outside of the database, all the time"),
        ("opsverify dr heartbeat --target production",),
    ),
    "declare": Command(
        "opsverify.cli.dr.declare",
        say("declare a disaster: the RTO runs from here"),
        ("opsverify dr declare --target production --disaster-at 2026-11-22T19:40:00+09:00",),
    ),
    "mark": Command(
        "opsverify.cli.dr.mark",
        say("record that a step of the checklist is done, with its evidence"),
        ('opsverify dr mark --target production channel --note "bridge open"',),
    ),
    "repair": Command(
        "opsverify.cli.dr.repair",
        say("keep what is whole of a damaged incident record, and say what was cut"),
        ("opsverify dr repair --target production",),
    ),
    "status": Command(
        "opsverify.cli.dr.status",
        say("what is done, since when, and what the next step needs"),
        ("opsverify dr status --target production",),
    ),
    "report": Command(
        "opsverify.cli.dr.report",
        say("one page: an incident's, or a rehearsal's"),
        ("opsverify dr report --target production", "opsverify dr report --target production --run latest"),
    ),
}
"""Every verb, with its module and its line in `opsverify dr --help`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_commands(parser, VERBS, "VERB")
