"""Fault of what was observed: why a criterion cannot be decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Why a criterion cannot be decided; `distorts`: its counts are not valid either."""

    text: str
    distorts: bool = True
