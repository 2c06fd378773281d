"""A canary's window with events, as the observer keeps it: what the pages of the gate are drawn from."""

from __future__ import annotations

from typing import Any

from opsverify.canary.observation import ObservedStep
from opsverify.canary.observer import Observer
from opsverify.canary.trace import WindowTrace, trace
from opsverify.canary.window_setup import Setup
from tests.canary.cluster import ERRORS, SLOW, Source
from tests.canary.situations import cluster, replaced

ALERT = "<b>Slow</b>"


def observed() -> WindowTrace:
    """Two criteria; a pod is replaced and an alert fires."""
    world = cluster(1, replaced(), counted=(ERRORS, SLOW), alerts=((ALERT, 420.0, 1200.0),))
    kept: list[Any] = []
    Observer(Source(world), world.clock, lambda _: None, kept.append).observe(world.setup)  # type: ignore[arg-type]
    setup, *steps = kept
    return trace(Setup.loads(setup), [ObservedStep.loads(step) for step in steps])
