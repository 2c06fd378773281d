"""Sender of run events: one thread that posts what waits in the store, again until it is taken or a day old."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from opsverify.notify.webhook import TIMEOUT_S, post_json
from opsverify.probes.http import Http
from opsverify.probes.proxy import NO_PROXY
from opsverify.serve.run_event import run_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.serve.run_event import EventReceiver
    from opsverify.serve.store import RunStore

LOG: Final = logging.getLogger("opsverify.serve")
PAUSE_S: Final = 60.0
"""Before the next try, where the receiver names no other time."""
LONGEST_KEPT: Final = dt.timedelta(days=1)
_CANNOT: Final = frozenset({429, *range(500, 600)})
"""Statuses of a receiver that takes nothing now: the other events wait as well."""


class EventSender:
    """What a receiver is told: each event at least once, in the order of the ends while it takes them."""

    def __init__(
        self,
        store: RunStore,
        receiver: Callable[[], EventReceiver | None],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._store, self._receiver, self._clock = store, receiver, clock
        self._wake, self._stopping = threading.Event(), False
        self._thread: threading.Thread | None = None

    def wants(self, stage: str) -> bool:
        """Whether the end of a run of this stage becomes an event."""
        receiver = self._receiver()
        return receiver is not None and receiver.wants(stage)

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables with the receiver's secrets."""
        receiver = self._receiver()
        return frozenset() if receiver is None else receiver.secrets.variables

    def wake(self) -> None:
        """Look for events that wait."""
        self._wake.set()

    def start(self) -> None:
        """Send in the background, first what an earlier server left."""
        self._wake.set()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def stop(self, longest_s: float = 2 * TIMEOUT_S) -> None:
        """Try once more what waits, and end; what was not taken waits for the next server."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(longest_s)

    def send(self) -> float | None:
        """Send what waits: seconds until the next try, None where nothing waits or nobody is to be told."""
        receiver, pause_s = self._receiver(), None
        waiting = [run for run in self._store.unsent() if not self._dropped(run.id, run.finished_at)]
        if receiver is None or not waiting:
            return None
        with Http(timeout_s=TIMEOUT_S) as http:
            for run in waiting:
                delivery = post_json(
                    http, receiver.webhook, receiver.secrets, run_event(run), redactor=receiver.redactor,
                    proxy=NO_PROXY, cloud=True,
                )  # fmt: skip
                if delivery.fault is None:
                    self._store.sent(run.id)
                    LOG.info("run %s: event sent", run.id)
                    continue
                LOG.warning("run %s: event not delivered, it is sent again: %s", run.id, delivery.fault)
                pause_s = max(pause_s or 0.0, delivery.pause_s or PAUSE_S)
                if delivery.status is None or delivery.status in _CANNOT:
                    break
        return pause_s

    def _dropped(self, run_id: str, finished_at: dt.datetime | None) -> bool:
        if finished_at is not None and self._clock() - finished_at <= LONGEST_KEPT:
            return False
        LOG.error("run %s: event not delivered within a day, dropped", run_id)
        self._store.sent(run_id)
        return True

    def _work(self) -> None:
        pause_s: float | None = None
        next_try = time.monotonic()
        while True:
            self._wake.wait(None if pause_s is None else max(0.0, next_try - time.monotonic()))
            self._wake.clear()
            last = self._stopping
            if pause_s is None or time.monotonic() >= next_try:
                pause_s = self._sent_or_pause()
                next_try = time.monotonic() + (pause_s or 0.0)
            if last:
                return

    def _sent_or_pause(self) -> float | None:
        try:
            return self.send()
        except Exception as error:  # noqa: BLE001 - a full disk, a receiver of a new kind: the thread has to go on
            LOG.error("events: %s; sent again later", type(error).__name__)  # noqa: TRY400 - a trace may quote a URL
            return PAUSE_S
