"""Races of the queue: what one request does while a run ends or begins; the order is forced, not left to chance."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opsverify.language.message import say
from tests.support.gate_server import LONGEST_S, GateProject, LiveGate, until

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

WHO = {"who": "Kim", "why": "stop it"}


class WatchedLock:
    """The queue's lock, which shows that somebody waits for it."""

    def __init__(self, queue: Any) -> None:  # noqa: ANN401 - its lock is its own
        self._lock, self.waited = queue._lock, threading.Event()
        queue._lock = self

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waited.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Held:
    """A method that goes on only when it is let go; `after`: it has done its work before it waits."""

    def __init__(self, method: Callable[..., Any], run_id: str, *, after: bool = False) -> None:
        self._method, self._run, self._after = method, run_id, after
        self.reached, self.may_go = threading.Event(), threading.Event()

    def __call__(self, run_id: str, *values: Any, **named: Any) -> Any:  # noqa: ANN401 - the method's
        """Call it."""
        if run_id != self._run or self.reached.is_set():
            return self._method(run_id, *values, **named)
        found = self._method(run_id, *values, **named) if self._after else None
        self.reached.set()
        assert self.may_go.wait(LONGEST_S)
        return found if self._after else self._method(run_id, *values, **named)


def asked(name: str, checksum: str) -> dict[str, Any]:
    """A request for a run."""
    return {"stage": "prod-canary", "target": "prod", "release": {"name": name, "checksum": checksum}}


def while_it_ends(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch, request: Callable[[str], Any]
) -> tuple[str, Any]:
    """A run of c1 that promotes, and the answer to `request`, which comes while its end is being recorded."""
    run: str = live.call("POST", "/v1/runs", asked("judgment", "c1")).json()["id"]
    held = Held(live.gate.store.finish, run)
    monkeypatch.setattr(live.gate.store, "finish", held)
    lock = WatchedLock(live.gate.queue)
    project.decide("c1", 0)
    assert held.reached.wait(LONGEST_S)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(request, run)
        until(lambda: answer.done() or lock.waited.is_set(), "the request, or that it waits for the end")
        held.may_go.set()
        return run, answer.result(LONGEST_S)


def test_a_cancel_that_comes_too_late_is_refused(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted, it would have to be a hold; the promotion that is being recorded is none."""
    run, answer = while_it_ends(
        live, project, monkeypatch, lambda run: live.call("POST", f"/v1/runs/{run}/cancel", WHO)
    )
    assert (answer.status_code, live.ended(run)["decision"]) == (409, "promote")


def test_a_checksum_that_comes_while_another_ends_retires_it(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended too late to be ended promotes nothing either."""
    run, answer = while_it_ends(
        live, project, monkeypatch, lambda _: live.call("POST", "/v1/runs", asked("judgment", "c2"))
    )
    assert answer.status_code == 202
    ended = live.ended(run)
    assert (ended["decision"], ended["answer"]) == ("promote", "hold")
    assert ended["retired_at"] is not None
    project.decide("c2", 10)


def test_a_run_that_was_cancelled_while_it_waited_never_starts(
    live: LiveGate, project: GateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its turn comes while it is cancelled."""
    first = live.call("POST", "/v1/runs", asked("judgment", "c1")).json()["id"]
    waits = live.call("POST", "/v1/runs", asked("other", "c2")).json()["id"]
    held = Held(live.gate.store.get, waits, after=True)
    monkeypatch.setattr(live.gate.store, "get", held)
    lock = WatchedLock(live.gate.queue)
    with ThreadPoolExecutor() as pool:
        ends = pool.submit(live.gate.queue.end, waits, say("cancelled"))
        assert held.reached.wait(LONGEST_S)
        project.decide("c1", 0)
        until(lambda: lock.waited.is_set() or project.begun("c2"), "the turn of the run that waits")
        held.may_go.set()
        assert ends.result(LONGEST_S)
    live.ended(first)
    project.decide("c2", 0)
    until(lambda: not live.gate.queue._active, "the end of all runs")
    assert live.run(waits)["decision"] == "hold"
    assert project.begun("c2") == []
