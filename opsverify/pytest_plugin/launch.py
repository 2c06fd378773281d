"""Launch: what the command line, which started this pytest, knows of the run; absent in plain pytest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsverify.language.environment import environment_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from opsverify.evidence.run_folder import RunFolder


@dataclass(eq=False)
class Launch:
    """The project, its settings file, the reader's language, and whom to tell the run's folder.

    It is handed to pytest as a plugin.
    """

    root: Path
    settings: Path
    language: str = "en"
    announce: Callable[[RunFolder], None] = field(default=lambda _folder: None)

    @staticmethod
    def language_of(config: pytest.Config) -> str:
        """The language of what is printed before a target is read: the command line's, else the environment's."""
        launch = Launch.of(config)
        return launch.language if launch else environment_language()

    @classmethod
    def of(cls, config: pytest.Config) -> Launch | None:
        """The launch of this pytest; None in plain pytest."""
        return next((plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, cls)), None)
