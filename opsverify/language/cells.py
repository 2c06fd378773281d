"""Cells: how wide a text is on a terminal, where a Korean letter takes two, and texts wrapped and cut by it."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def wrapped(first: str, text: str, columns: int | None) -> Iterator[str]:
    """`text` after `first`, in rows of at most `columns` cells; what follows is indented as far."""
    if columns is None:
        yield first + text
        return
    indent = " " * cells(first)
    row, empty = first, True
    for word in text.split(" "):
        joined = row + ("" if empty else " ") + word
        if cells(joined) <= columns or empty:
            row, empty = joined, False
        else:
            yield row.rstrip()
            row, empty = indent + word, False
    yield row.rstrip()


def cut(text: str, columns: int) -> str:
    """`text`, cut to `columns` cells, with dots where something is left out."""
    if cells(text) <= columns:
        return text
    text = text.rstrip()
    while cells(text) > columns - 4:
        text = text[:-1]
    return f"{text.rstrip()} ..."


def cells(text: str) -> int:
    """Cells of a terminal that `text` takes: two for a Korean letter, none for a combining mark."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
