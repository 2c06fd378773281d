"""`opsverify dr heartbeat`: write acknowledged commits outside of the database, until stopped."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

STOPS = (signal.SIGTERM, signal.SIGINT)
POLL_S = 0.5
"""Seconds after which the end of a limited number of beats is noticed, at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument(
        "--every", metavar="DURATION", help=say("time from one beat to the next, such as 1s (default: the target's)")
    )
    parser.add_argument("--beats", type=int, metavar="N", help=say("end after N beats (default: never)"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Write the target's heartbeat until SIGTERM or Ctrl-C, or until `--beats` are acknowledged; 0.

    Raises TargetError without `[postgres]` and `[recovery.heartbeat]`, EvidenceError when its log cannot be written.
    """
    from opsverify.recovery.rpo.heartbeat_writer import Writer  # noqa: PLC0415 - imports psycopg

    target, secrets = load_target(find_target(target_argument(options.target), project_root() / "targets"))
    heartbeat = target.recovery.heartbeat if target.recovery else None
    if target.postgres is None or heartbeat is None:
        raise TargetError(
            say("target {name}: dr heartbeat needs [postgres] and [recovery.heartbeat]", name=target.name)
        )
    if options.every is not None:
        try:
            parse_duration(options.every)
        except ValueError as error:
            raise TargetError(say("--every: {error}", error=error)) from error
        heartbeat = heartbeat.model_copy(update={"every": options.every})
    writer = Writer(heartbeat, target.postgres, secrets.of(heartbeat.login.password))
    _run_until_stopped(writer.run, options.beats)
    return 0


def _run_until_stopped(run: Callable[[threading.Event, int | None], None], beats: int | None) -> None:
    """Run in a thread until it ends or a signal comes; a handler that sets an event may deadlock with its waiter."""
    stop = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run, stop, beats)
            while not running.done():
                # After a pause of the process (SIGSTOP, SIGCONT) Python returns something that names no signal.
                came = signal.sigtimedwait(STOPS, POLL_S)
                if came is not None and came.si_signo in STOPS:
                    stop.set()
                    break
            running.result()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
