"""Launch: what the command line, which started this pytest, knows of the run; absent in plain pytest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from opsverify.evidence.run_folder import RunFolder


@dataclass(eq=False)
class Launch:
    """The project and its settings file, and whom to tell which folder the run has; handed to pytest as a plugin."""

    root: Path
    settings: Path
    announce: Callable[[RunFolder], None] = field(default=lambda _folder: None)

    @classmethod
    def of(cls, config: pytest.Config) -> Launch | None:
        """The launch of this pytest; None in plain pytest."""
        return next((plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, cls)), None)
