"""Waiting with a deadline."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, LoginRefused, NotDescribed, Unreachable
from opsverify.probes import eventually as module
from opsverify.probes.eventually import eventually, set_waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.probes.probe_servers import Recorder


def _after(attempts: int, error: Exception | None = None) -> Callable[[], int]:
    """Make a probe that counts its calls, raising `error` in the first `attempts` ones."""
    calls: list[int] = []

    def probe() -> int:
        calls.append(len(calls))
        if error is not None and len(calls) <= attempts:
            raise error
        return len(calls)

    return probe


def test_reached(recorder: Recorder) -> None:
    """The value that satisfies the condition is returned, and every attempt is recorded."""
    assert eventually(_after(0), lambda n: n == 3, deadline_s=60, every_s=0.01, what="three", record=recorder) == 3
    name, body, _ = recorder.kept[0]
    assert name == "waiting for three"
    assert len(body.splitlines()) == 4
    assert "reached after" in body


def test_no_answer_is_asked_again(recorder: Recorder) -> None:
    """A component that is down for a moment is queried again."""
    probe = _after(2, Unreachable("refused"))
    assert eventually(probe, lambda _: True, deadline_s=60, every_s=0.01, what="x", record=recorder) == 3
    assert recorder.text.count("Unreachable: refused") == 2


def test_deadline_returns_the_latest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline the caller measures what there is."""
    moments = itertools.count()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(moments) / 100))
    probe = _after(0)
    latest = eventually(probe, lambda _: False, deadline_s=0.1, every_s=0.02, what="never")
    assert 1 < latest == probe() - 1


@pytest.mark.parametrize("kind", [LoginRefused, NotDescribed])
def test_what_stays_so_is_not_tried_again(kind: type[Inconclusive], recorder: Recorder) -> None:
    """The same login would be refused again, and may be locked; the target stays the same: the error ends it."""
    with pytest.raises(kind, match=r"^so it is$"):
        eventually(_after(1000, kind("so it is")), bool, deadline_s=60, what="a row", record=recorder)
    assert recorder.text.count(kind.__name__) == 1
    assert "given up after" in recorder.text


@pytest.mark.parametrize("kind", [Unreachable, Inconclusive])
def test_deadline_without_any_value(kind: type[Inconclusive], recorder: Recorder) -> None:
    """Without a value the last error is raised, of its own kind."""
    probe = _after(1000, kind("down"))
    with pytest.raises(kind, match=r"the stored row: \d+ attempts .* the last one: down") as caught:
        eventually(probe, lambda _: True, deadline_s=0.05, every_s=0.01, what="the stored row", record=recorder)
    assert type(caught.value) is kind
    assert "deadline after" in recorder.text


def test_last_attempt_is_not_before_the_deadline() -> None:
    """A process that slept over the deadline asks once more: what it knew before may have changed since."""
    begun: list[float] = []
    started = time.monotonic()

    def probe() -> bool:
        begun.append(time.monotonic() - started)
        if len(begun) == 1:
            threading.Event().wait(0.3)  # longer than the deadline
        return len(begun) > 1

    assert eventually(probe, bool, deadline_s=0.1, what="the effect")
    assert begun[-1] >= 0.1


def test_a_timeout_stays_one() -> None:
    """Where no attempt was answered in time, neither was the whole wait."""
    with pytest.raises(Unreachable) as caught:
        eventually(_after(9, Unreachable("silent", by_clock=True)), bool, deadline_s=0, what="x")
    assert caught.value.by_clock


def test_terminal_state_ends_the_waiting(recorder: Recorder) -> None:
    """A workflow that is DEAD never completes: no need to sit out the deadline."""
    states = iter(("RUNNING", "DEAD"))
    state = eventually(
        lambda: next(states),
        lambda s: s == "COMPLETED",
        deadline_s=60,
        every_s=0.01,
        stop_when=lambda s: s == "DEAD",
        what="w",
        record=recorder,
    )
    assert state == "DEAD"
    assert "terminal state" in recorder.text


def test_other_errors_pass_through(recorder: Recorder) -> None:
    """A bug in a check is not waited for, but its attempts are kept."""
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 // 0, bool, deadline_s=60, what="x", record=recorder)
    assert len(recorder.kept) == 1


def test_waiting_can_be_switched_off() -> None:
    """Inside set_waiting(False) one attempt is made, at once; afterwards all is as before."""
    probe = _after(0)
    with set_waiting(False):
        assert eventually(probe, lambda _: False, deadline_s=60, what="x") == 1
    assert eventually(probe, lambda n: n == 3, deadline_s=60, every_s=0.01, what="x") == 3
