"""Language in which a command's errors are printed: `--language`, else that of the target, as far as it can be read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.config.project import project_root
from opsverify.language.message import LANGUAGES

if TYPE_CHECKING:
    import argparse

_DEFAULT: Final = "en"
_OF_TARGETS: Final = "ko"
"""The language of a target that names none."""


def reader_language(options: argparse.Namespace) -> str:
    """`ko` or `en`; English where there is no target, or none that can be read: its file may be what is wrong."""
    given = getattr(options, "language", None)
    if given in LANGUAGES:
        return str(given)
    name = getattr(options, "target", None)
    if not isinstance(name, str):
        return _DEFAULT
    path = Path(name)
    if path.suffix != ".toml":
        path = project_root() / "targets" / f"{name}.toml"
    try:
        language = tomllib.loads(path.read_text(encoding="utf-8")).get("language", _OF_TARGETS)
    except (OSError, ValueError):
        return _DEFAULT
    return language if language in LANGUAGES else _DEFAULT
