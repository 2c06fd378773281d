"""Cluster: Dask distributed maps the units over threads of this machine or workers elsewhere; no unit is repeated.

A worker that is lost takes its unit with it: the scheduler may not start it again (`allowed-failures` 0, retries 0),
and the unit's folder, which exists, refuses a second run anyway.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

import dask
from distributed import CancelledError, Client, Future, LocalCluster, Security, wait
from distributed.client import ClosedClientError
from distributed.utils import silence_logging_cmgr

from opsverify.errors import TargetError
from opsverify.fleet.unit import UnitEnd, begin_units, end_units, run_unit
from opsverify.language.message import as_message, say

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from opsverify.fleet.address import SchedulerAddress
    from opsverify.fleet.unit import UnitOrder

_STATUS_AT: Final = "127.0.0.1:0"
"""Where the scheduler's status pages are served: without an address they listen on every interface, on port 8787."""
_ALLOWED: Final = "distributed.scheduler.allowed-failures"
_LOGS: Final = ("distributed", "distributed.client")
"""Logs of Dask that write to the terminal."""
_CONNECT: Final = "30s"
_LOOK_S: Final = 60.0
"""Seconds after which it is looked whether any worker is left."""


def run_units(
    orders: Sequence[UnitOrder], units: Path, timeout_s: float, workers: int, address: SchedulerAddress | None
) -> Generator[UnitEnd, None, None]:
    """Run every order, at most `workers` at once on this machine; how each ended, in the order of their ends.

    Raises TargetError for a scheduler that cannot be reached, or that would start a unit again.
    """
    begin_units()
    with _connected(workers, address) as client:
        running: dict[Future[UnitEnd], str] = {}
        waiting = list(reversed(orders))
        threads = 0
        try:
            while running or waiting:
                threads = _threads(client, threads)
                # No more than there are threads: a worker that is lost takes only what it was running.
                while waiting and len(running) < max(1, threads):
                    order = waiting[-1]
                    key = f"{order.fleet}-unit-{order.unit.unit}"
                    future = client.submit(
                        run_unit, order, units=str(units), timeout_s=timeout_s, retries=0, pure=False, key=key
                    )
                    running[future] = waiting.pop().unit.target
                ended = _ended(running)
                if not ended and _threads(client, threads) == 0:
                    raise _NoWorker
                for future in ended:
                    yield _end_of(future, running.pop(future))
        except (_NoWorker, CancelledError, ClosedClientError) as lost:
            left = say("no worker is left")
            why = left if isinstance(lost, _NoWorker) else say("the connection to the scheduler was lost")
            for target in (*running.values(), *(order.unit.target for order in reversed(waiting))):
                yield UnitEnd(target, None, why)
        except (KeyboardInterrupt, GeneratorExit):  # before the cluster is closed, which waits for its threads
            end_units()
            client.cancel(list(running))
            raise


class _NoWorker(Exception):  # noqa: N818 - ends the fleet, not the program
    """No worker is connected any more."""


def _threads(client: Client, known: int) -> int:
    """How many units can run at once; `known` without an answer: whether the scheduler is lost, waiting shows."""
    try:
        return sum(client.nthreads().values())
    except (OSError, RuntimeError, AttributeError):  # the last two: of a client that was closed
        return known


def _ended(running: Iterable[Future[UnitEnd]]) -> list[Future[UnitEnd]]:
    """The units that have ended, once one has; none after a while. Raises CancelledError with the scheduler lost."""
    try:
        return list(wait(list(running), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _end_of(future: Future[UnitEnd], target: str) -> UnitEnd:
    try:
        end = future.result()
    except Exception as error:  # noqa: BLE001 - a lost worker, a worker without opsverify: that unit's alone
        return UnitEnd(target, None, as_message(f"{type(error).__name__}: {error}"))
    return end if isinstance(end, UnitEnd) else UnitEnd(target, None, as_message(repr(end)))


@contextlib.contextmanager
def _connected(workers: int, address: SchedulerAddress | None) -> Iterator[Client]:
    with contextlib.ExitStack() as opened:
        opened.enter_context(dask.config.set({_ALLOWED: 0}))
        if address is None:
            cluster = opened.enter_context(
                LocalCluster(
                    n_workers=1, threads_per_worker=workers, processes=False, dashboard_address=_STATUS_AT,
                    memory_limit=0, silence_logs=logging.ERROR,
                )
            )  # fmt: skip
            yield opened.enter_context(Client(cluster))
            return
        for name in _LOGS:  # a lost connection is one line for each unit, not a traceback
            opened.enter_context(silence_logging_cmgr(logging.CRITICAL, root=name))
        client = opened.enter_context(_remote(address))
        allowed = client.run_on_scheduler(dask.config.get, _ALLOWED)
        if allowed != 0:
            raise TargetError(
                say("--cluster {address}: its scheduler starts a lost unit again up to {allowed} times; start it with "
                    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0", address=address.address, allowed=allowed)
            )  # fmt: skip
        yield client


def _remote(address: SchedulerAddress) -> Client:
    security = None
    if address.ca is not None:
        security = Security(
            tls_ca_file=str(address.ca), tls_client_cert=str(address.certificate), tls_client_key=str(address.key),
            require_encryption=True,
        )  # fmt: skip
    try:
        return Client(address.address, security=security, timeout=_CONNECT)
    except (OSError, ValueError) as error:
        raise TargetError(
            say("--cluster {address}: no connection ({error})", address=address.address, error=error)
        ) from error
