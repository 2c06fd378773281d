"""`opsverify dr heartbeat`: write beats until told to stop."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opsverify.config.load import find_target, load_target
from opsverify.errors import TargetError
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOPS = (signal.SIGTERM, signal.SIGINT)
LOOK_EVERY_S = 0.5
"""How soon the end of a limited number of beats is noticed."""


def beat(target_name: str, root: Path, every: str | None = None, beats: int | None = None) -> int:
    """Write the target's heartbeat until SIGTERM or Ctrl-C, or until `beats` were acknowledged; 0.

    Raises TargetError without `[postgres]` and `[recovery.heartbeat]`, EvidenceError when its log cannot be written.
    """
    from opsverify.recovery.rpo.heartbeat_writer import Writer  # noqa: PLC0415 - imports psycopg

    target, secrets = load_target(find_target(target_name, root / "targets"))
    heartbeat = target.recovery.heartbeat if target.recovery else None
    if target.postgres is None or heartbeat is None:
        raise TargetError(f"target {target.name}: a heartbeat needs [postgres] and [recovery.heartbeat]")
    if every is not None:
        try:
            parse_duration(every)
        except ValueError as error:
            raise TargetError(f"--every: {error}") from error
        heartbeat = heartbeat.model_copy(update={"every": every})
    writer = Writer(heartbeat, target.postgres, secrets.of(heartbeat.login.password))
    _until_told(writer.run, beats)
    return 0


def _until_told(run: Callable[[threading.Event, int | None], None], beats: int | None) -> None:
    """Run in a thread until it ends, or a signal says so; a handler that sets an event may deadlock with its waiter."""
    stop = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run, stop, beats)
            while not running.done():
                if signal.sigtimedwait(STOPS, LOOK_EVERY_S) is not None:
                    stop.set()
                    break
            running.result()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
