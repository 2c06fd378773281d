"""Names of a project's targets: a file is one target, and a name stands in one file.

Runs, releases and tokens name the file; what is measured is what the file's `name` says. Two files of one name would be
two runs at once on one target, and a way round the scope of a token.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opsverify.config.target_names import shared_names
from opsverify.config.toml_text import read_toml
from opsverify.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.language.message import Message


class TargetNames:
    """The names of the target files in one folder, each file read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[tuple[int, ...], object]] = {}

    def require_one_file_each(self) -> None:
        """Raise TargetError with every name that two files have."""
        if found := _shared(self._read()):
            raise TargetError(*found.values())

    def shared(self, file: str) -> Message | None:
        """Why the target in `targets/FILE.toml` cannot be used: another file has its name; None where none has."""
        names = self._read()
        return _shared(names).get(names.get(self._folder / f"{file}.toml", ""))

    def _read(self) -> dict[Path, str]:
        with self._lock:
            found = {path: self._name(path) for path in sorted(self._folder.glob("*.toml"))}
        return {path: name for path, name in found.items() if isinstance(name, str)}

    def _name(self, path: Path) -> object:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)  # a copy may keep the first one
            if path not in self._known or self._known[path][0] != stamp:
                content = read_toml(path)
                self._known[path] = (stamp, None if "schema" in content else content.get("name"))  # no target with it
        except (OSError, TargetError):  # it can be run neither, and is named when it is asked for
            return None
        return self._known[path][1]


def _shared(names: Mapping[Path, str]) -> dict[str, Message]:
    return shared_names((name, f"targets/{path.name}") for path, name in names.items())
