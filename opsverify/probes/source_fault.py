"""Faults of a source of metrics, each with its reason."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive, Unreachable
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsverify.errors import Peer
    from opsverify.language.message import Message


class FaultReason(StrEnum):
    """Why a source of metrics could not be measured."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    HTTP_ERROR = "http_error"
    BAD_QUERY = "bad_query"
    MALFORMED = "malformed"
    PARTIAL_RESPONSE = "partial_response"
    EMPTY = "empty"
    AMBIGUOUS = "ambiguous"
    STALE = "stale"
    NOT_A_NUMBER = "not_a_number"

    @property
    def text(self) -> Message:
        """The reason in words; in English its own name."""
        return _TEXTS[self]


_TEXTS: Final = {
    FaultReason.UNREACHABLE: say("unreachable"),
    FaultReason.TIMEOUT: say("timeout"),
    FaultReason.HTTP_ERROR: say("http_error"),
    FaultReason.BAD_QUERY: say("bad_query"),
    FaultReason.MALFORMED: say("malformed"),
    FaultReason.PARTIAL_RESPONSE: say("partial_response"),
    FaultReason.EMPTY: say("empty"),
    FaultReason.AMBIGUOUS: say("ambiguous"),
    FaultReason.STALE: say("stale"),
    FaultReason.NOT_A_NUMBER: say("not_a_number"),
}


class SourceFault(Inconclusive):
    """A source of metrics could not be measured, for a named `reason`."""

    def __init__(self, reason: FaultReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unanswered(SourceFault, Unreachable):
    """A source of metrics did not answer at all (`unreachable`, `timeout`)."""

    def __init__(self, reason: FaultReason, message: str, peers: Sequence[Peer] = ()) -> None:
        super().__init__(reason, message)
        self.by_clock = reason is FaultReason.TIMEOUT
        self.peers = tuple(peers)
