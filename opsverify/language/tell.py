"""Telling: how a line is printed for a person, in its reader's language."""

from __future__ import annotations

import sys
from typing import IO

from opsverify.language.message import in_language, join


def tell(text: str, language: str, stream: IO[str] | None = None) -> None:
    """Print a text or a message as one line in `language`, at once, on standard output or on `stream`."""
    stream = stream or sys.stdout
    stream.write(f"{in_language(text, language)}\n")
    stream.flush()


def complain(text: str, language: str) -> None:
    """Print why something is not done on standard error, after the program's name."""
    tell(join("", ("opsverify: ", text)), language, sys.stderr)
