"""Waiting for a condition, with a deadline and a record of every attempt."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from opsverify.errors import Inconclusive, LoginRefused, NotDescribed, Unreachable
from opsverify.language.message import say
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_waiting = True
_pause = threading.Event()
"""Never set: waiting on it is a sleep that a signal's handler ends as usual."""


@contextlib.contextmanager
def set_waiting(active: bool) -> Iterator[None]:  # noqa: FBT001 - as in stamina.set_testing
    """Switch waiting off: inside, `eventually` makes one attempt and never sleeps."""
    global _waiting  # noqa: PLW0603 - one switch for the process, for tests
    before, _waiting = _waiting, active
    try:
        yield
    finally:
        _waiting = before


def eventually(
    probe: Callable[[], T],
    until: Callable[[T], bool],
    *,
    deadline_s: float,
    what: str,
    every_s: float = 0.2,
    stop_when: Callable[[T], bool] | None = None,
    record: Record = discard,
) -> T:
    """Call `probe` every `every_s` seconds until its value satisfies `until`, and return that value.

    `stop_when` names a terminal state: waiting any longer would change nothing. At that state and at the
    deadline the latest value is returned, for the caller to measure. An attempt that cannot measure is made
    again; if none ever could, its last error is raised (Unreachable, Inconclusive). A refused login, and what the
    target does not describe, end the waiting with their own error: they stay so. `what` names what is
    awaited; `record` receives one line for every attempt: let `probe` itself record nothing.
    """
    started = time.monotonic()
    attempts: list[str] = []
    values: list[T] = []
    last_error: Inconclusive | None = None
    ended = "deadline"
    try:
        while True:
            offset = time.monotonic() - started
            try:
                value = probe()
            except Inconclusive as error:
                last_error = error
                attempts.append(f"+{offset:7.2f} s  {type(error).__name__}: {one_line(error)}")
                if isinstance(error, LoginRefused | NotDescribed):
                    ended = "given up"
                    raise
            else:
                values[:] = [value]
                attempts.append(f"+{offset:7.2f} s  {one_line(repr(value))}")
                if until(value):
                    ended = "reached"
                    break
                if stop_when is not None and stop_when(value):
                    ended = "terminal state"
                    break
            # The last attempt begins at the deadline or later: a process that was kept waiting may have slept over
            # all that happened since the one before.
            if offset >= deadline_s or not _waiting:
                break
            remaining = deadline_s - (time.monotonic() - started)
            _pause.wait(max(0.0, min(every_s, remaining)))
    finally:
        took = time.monotonic() - started
        record(f"waiting for {what}", "\n".join([*attempts, f"{ended} after {took:.2f} s of {deadline_s:g} s"]))
    if values:
        return values[0]
    message = say(
        "{what}: {attempts} attempts in {took:.1f} s, none successful; the last one: {error}",
        what=what,
        attempts=len(attempts),
        took=took,
        error=last_error,
    )
    if isinstance(last_error, Unreachable):
        raise Unreachable(message, by_clock=last_error.by_clock, peers=last_error.peers)
    raise Inconclusive(message)
