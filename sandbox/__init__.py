"""A complete stand-in of the judgment platform on this machine, and nothing more than a target.

`Sandbox` starts, breaks, backs up, destroys, restores and stops it; so does `python -m sandbox` by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.core import Sandbox

__all__ = ["Sandbox", "SandboxError"]


def __getattr__(name: str) -> object:
    # On demand, because the platform's processes import this package and need nothing of it.
    if name == "Sandbox":
        from sandbox.core import Sandbox  # noqa: PLC0415

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
