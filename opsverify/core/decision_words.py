"""Words for a decision, as a person reads them; identifiers stay as in `verdict.json`."""

from __future__ import annotations

from typing import Final

from opsverify.language.message import Message, as_message, say

DECISIONS: Final = {
    "promote": say("promote"),
    "rollback": say("roll back"),
    "hold": say("hold"),
    "accept": say("accept"),
    "reject": say("reject"),
}


def capitals(decision: str) -> Message:
    """The word in capitals, and the Korean one with it: `HOLD`, `보류 HOLD`."""
    shown = decision.upper()
    known = DECISIONS.get(decision)
    return Message.of(shown, f"{known.ko} {shown}") if known else as_message(shown)
