"""Faults that are on for one track, and an even choice of a share of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

from sandbox.home import Control, ControlState

TRACK_HEADER = "x-track"
"""Names the caller's track to the LLM, MCP server and inbox, so that their faults can be scoped."""

TAG_HEADER = "x-synthetic-tag"
"""Marks a request as synthetic; its value is stored with everything the request leaves behind."""


class Faults:
    """The faults of one process; `track` is the process's own, or empty where callers name theirs."""

    def __init__(self, home: Path, track: str = "") -> None:
        self._control = Control(home)
        self._track = track

    def state(self) -> ControlState:
        """The whole control file, for rate and canary share."""
        return self._control.read()

    def remedied(self, remedy: str) -> bool:
        """Whether the platform acts on `remedy`."""
        return self._control.read().remedied(remedy)

    def on(self, fault: str, track: str | None = None) -> bool:
        """Whether `fault` is on here; a caller without a track is hit by faults of scope `all` only."""
        return self._control.read().active(fault, self._track if track is None else track)


class Faultless:
    """In place of `Faults` where none is ever on."""

    def on(self, _fault: str, _track: str | None = None) -> bool:
        """Never."""
        return False


class Share:
    """Picks a share of a sequence as evenly as can be.

    Of any n picks in a row at a constant share, the number picked is off n * share by less than 1, so that
    a window of seconds already shows the share that was set.
    """

    def __init__(self) -> None:
        self._owed = 0.5

    def pick(self, share: float) -> bool:
        """Whether the next one belongs to the `share` (0..1)."""
        self._owed += share
        if self._owed >= 1:
            self._owed -= 1
            return True
        return False
