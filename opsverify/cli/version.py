"""`opsverify --version`: the installed version; a module of its own, because looking it up is slow to import."""

from __future__ import annotations

from importlib.metadata import version


def version_line() -> str:
    """The line that is printed."""
    return f"opsverify {version('opsverify')}\n"
