"""Catalogue: the Korean template of every English one, in `ko/<package>.toml`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("ko")


def korean(template: str) -> str | None:
    """The Korean template of an English one; None where the catalogue has none."""
    return _all().get(template)


@cache
def _all() -> dict[str, str]:
    return {template: ko for entries in by_package().values() for template, ko in entries.items()}


def by_package() -> dict[str, dict[str, str]]:
    """The entries of each file, by its name without `.toml`."""
    return {file.stem: _entries(file.read_text(encoding="utf-8")) for file in sorted(_FOLDER.glob("*.toml"))}


def _entries(text: str) -> dict[str, str]:
    # Each entry is one line of two texts, which JSON writes as TOML does (a test compares both): every run reads all
    # files, for which Python's TOML parser takes 25 ms.
    lines = (line.replace('" = "', '": "', 1) for line in text.split("\n") if line.startswith('"'))
    entries: dict[str, str] = json.loads(f"{{{','.join(lines)}}}")
    return entries
