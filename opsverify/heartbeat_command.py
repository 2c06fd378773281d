"""`opsverify dr heartbeat`: write beats until told to stop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from opsverify.errors import TargetError
from opsverify.limits import parse_duration
from opsverify.target import find_target, load_target

if TYPE_CHECKING:
    from pathlib import Path


def beat(target_name: str, root: Path, every: str | None = None, beats: int | None = None) -> int:
    """Write the target's heartbeat until SIGTERM or Ctrl-C, or until `beats` were acknowledged; 0.

    Raises TargetError without `[postgres]` and `[recovery.heartbeat]`, EvidenceError when its log cannot be written.
    """
    from opsverify.probes.heartbeat import Writer  # noqa: PLC0415 - imports psycopg

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
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    Writer(heartbeat, target.postgres, secrets.of(heartbeat.login.password)).run(stop, beats)
    return 0
