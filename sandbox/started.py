"""Started component, which later commands find again: a process or a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

    from opsverify.language.message import Message


class Started(Protocol):
    """What was started; `sandbox.processes.Table` keeps it by name."""

    @property
    def alive(self) -> bool:
        """Whether this very one still runs."""

    @property
    def mark(self) -> str:
        """What tells it from an earlier one of its name: its pid, or the begin of the container's id."""

    @property
    def place(self) -> Message:
        """Where it runs, in words: `pid 4711`, `container 0123456789ab`."""

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it still runs."""

    def remove(self) -> None:
        """Remove what is left of it once it has ended."""

    def to_dict(self) -> Mapping[str, object]:
        """Its entry in the table, JSON's types."""
