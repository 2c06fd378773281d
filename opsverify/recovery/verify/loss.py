"""Losses as values: table, place, rows, time and keys of what is missing; kept so in the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from opsverify.language.message import join, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


NAMED: Final = 5
"""How many keys of a kind a message names; the evidence has all of them."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One bucket, or some pages, of a table that are not as recorded; `where` is its name, or their numbers.

    `recorded` and `found` are rows; None: not known. Of pages `found` is 0 where they were recorded one by one; else
    both count their neighbours' too. `since` and `until` are a bucket's edges in ISO 8601, where it is one of time.
    """

    table: str
    kind: Literal["bucket", "pages"]
    where: str
    recorded: int | None = None
    found: int | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Keys:
    """Primary keys, as text, of rows that are `missing` here, `added` here, or `changed`."""

    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return join(
            "; ",
            (
                _first(word, keys)
                for word, keys in (
                    (say("missing"), self.missing),
                    (say("added"), self.added),
                    (say("changed"), self.changed),
                )
                if keys
            ),
        )

    @property
    def all(self) -> tuple[str, ...]:
        """One line for each key."""
        kinds = ((say("missing"), self.missing), (say("added"), self.added), (say("changed"), self.changed))
        return tuple(
            chain.from_iterable((say("{word} {key}", word=word, key=key) for key in keys) for word, keys in kinds)
        )


def _first(word: str, keys: Sequence[str]) -> str:
    names = ", ".join(keys[:NAMED])
    if len(keys) > NAMED:
        return say("{word} {names} and {more} more", word=word, names=names, more=len(keys) - NAMED)
    return say("{word} {names}", word=word, names=names)


def stretches(pages: Iterable[int], most: int = 5) -> str:
    """List pages as ranges: `3, 7-9 and 4 more`."""
    found: list[list[int]] = []
    for page in sorted(pages):
        if found and page == found[-1][1] + 1:
            found[-1][1] = page
        else:
            found.append([page, page])
    shown = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found[:most])
    left = sum(last - first + 1 for first, last in found[most:])
    return say("{shown} and {left:,} more", shown=shown, left=left) if left else shown


def page_list(pages: Sequence[int]) -> str:
    """Name pages with the word: `page 3`, `pages 3, 7-9`."""
    places = stretches(pages)
    return say("pages {places}", places=places) if len(pages) > 1 else say("page {places}", places=places)
