"""Names of a project's targets: a file is one target, and a name stands in one file.

Runs, releases and tokens name the file; what is measured is what the file's `name` says. Two files of one name would be
two runs at once on one target, and a way round the scope of a token.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from opsverify.config.toml_text import read_toml
from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
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
        found = self._files()
        shared = [paths for paths in found.values() if len(paths) > 1]
        if shared:
            raise TargetError(*(_twice(paths) for paths in shared))

    def shared(self, file: str) -> Message | None:
        """Why the target in `targets/FILE.toml` cannot be used: another file has its name; None where none has."""
        path = self._folder / f"{file}.toml"
        return next((_twice(paths) for paths in self._files().values() if path in paths and len(paths) > 1), None)

    def _files(self) -> dict[str, list[Path]]:
        found: defaultdict[str, list[Path]] = defaultdict(list)
        with self._lock:
            for path in sorted(self._folder.glob("*.toml")):
                name = self._name(path)
                if isinstance(name, str):
                    found[name].append(path)
        return found

    def _name(self, path: Path) -> object:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if path not in self._known or self._known[path][0] != stamp:
                content = read_toml(path)
                self._known[path] = (stamp, None if "schema" in content else content.get("name"))  # no target with it
        except (OSError, TargetError):  # it can be run neither, and is named when it is asked for
            return None
        return self._known[path][1]


def _twice(paths: list[Path]) -> Message:
    files = ", ".join(f"targets/{path.name}" for path in paths)
    return say("targets: one name in {files}; give each a name of its own", files=files)
