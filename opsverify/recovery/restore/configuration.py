"""Configuration files in the copy of a backup: what the drill overrides is taken out, and named.

A value in a file is checked even where the command line overrides it: one that this machine's PostgreSQL does not know
would keep the server from starting. Files outside of the backup are never read: they are another cluster's, or missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MAIN: Final = "postgresql.conf"
AUTOMATIC: Final = "postgresql.auto.conf"
_LINE: Final = re.compile(r"^\s*([A-Za-z_][\w.$]*)\s*(?:=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#]*)")
_INCLUDES: Final = ("include", "include_if_exists", "include_dir")
_DEEPEST: Final = 10
_MARK: Final = "#opsverify: "


@dataclass
class Configuration:
    """Files of `data_dir`, with the names to take out; `taken_out` are the lines that were, `missing` the includes."""

    data_dir: Path
    names: Collection[str]
    taken_out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)

    def clean(self, *, skip_missing: bool = False) -> tuple[str, ...]:
        """Take the overridden settings and all includes from outside out; one line for each.

        Raises Inconclusive for an include that is missing on this machine, unless `skip_missing`.
        """
        for name in (MAIN, AUTOMATIC):
            self._file(self.data_dir / name, 0)
        if self.missing and not skip_missing:
            raise Inconclusive(
                say(
                    "{missing} lies outside of the backup, and is missing on this machine: copy it here, or "
                    "set skip_missing_includes = true in [recovery] to restore without it",
                    missing=self.missing[0],
                )
            )
        return tuple(self.taken_out)

    def _file(self, path: Path, depth: int) -> None:
        if depth > _DEEPEST or path in self._seen or not path.is_file():
            return
        self._seen.add(path)
        lines = path.read_bytes().splitlines(keepends=True)
        changed = [self._line(path, number, line, depth) for number, line in enumerate(lines, 1)]
        if changed != lines:
            path.write_bytes(b"".join(changed))  # in place: owner and mode stay

    def _line(self, path: Path, number: int, line: bytes, depth: int) -> bytes:
        match = _LINE.match(line.decode("utf-8", "surrogateescape"))
        if match is None:
            return line
        name, value = match[1].lower(), _unquoted(match[2])
        where = f"{path.relative_to(self.data_dir)} line {number}"
        if name in _INCLUDES:
            target = path.parent / value  # an absolute value replaces the folder
            if not target.resolve().is_relative_to(self.data_dir.resolve()):
                self.taken_out.append(f"{name} '{value}' ({where}): outside of the backup, not read")
                if name != "include_if_exists" and not target.exists():
                    self.missing.append(f"{name} '{value}' ({where})")
                return _MARK.encode() + line
            for inside in sorted(target.glob("*.conf")) if name == "include_dir" else (target,):
                self._file(inside, depth + 1)
            return line
        if name in self.names:
            if value:
                self.taken_out.append(f"{name} = '{value}' ({where})")
            return _MARK.encode() + line
        return line


def _unquoted(value: str) -> str:
    if not value.startswith("'"):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1].replace("''", "'"))
