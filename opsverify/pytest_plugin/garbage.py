"""Garbage collector of a process that runs one stage: what lives to its end is not searched for cycles."""

from __future__ import annotations

import gc


def rest() -> None:
    """Search for nothing: what is imported and collected stays, and so does all that a verdict is made of."""
    gc.freeze()
    gc.disable()


def resume() -> None:
    """Search again, but not what there is by now: the checks that run leave cycles, each only a few."""
    gc.freeze()
    gc.enable()
