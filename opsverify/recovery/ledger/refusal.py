"""Refusal of one object by PostgreSQL, while others can be read: what a capture goes on after, and names.

A definition that refers to what is no longer there, rows that are on a server out of reach, a column whose expression
fails: none of them keeps the others from being recorded. A session that ends, or time or memory that runs out, does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence

T = TypeVar("T")

_OF_THE_SESSION: Final = ("25", "28", "40", "53", "57")
"""SQLSTATE classes that say nothing of the object: transaction, login, resources, an operator's doing.

A connection that is lost has no SQLSTATE; class 08 is what PostgreSQL says of a foreign server that it cannot reach.
"""


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of a database error or of the one that caused it; '' where there is none."""
    while error is not None:
        if state := getattr(error, "sqlstate", None):
            return str(state)
        error = error.__cause__
    return ""


def read_apart(read: Callable[[], T], name: str, refused: MutableMapping[str, str]) -> T | None:
    """Return what `read` gives; None where PostgreSQL refuses the object `name`, with the reason put into `refused`.

    Raises what `read` raises for any other reason.
    """
    try:
        return read()
    except Exception as error:
        state = sqlstate(error)
        if not state or state.startswith(_OF_THE_SESSION):
            raise
        refused[name] = " ".join(str(error).split())
        return None


def read_divided(
    names: Sequence[str], read: Callable[[Sequence[str]], Collection[T]], refused: MutableMapping[str, str]
) -> Iterator[T]:
    """Yield what `read` gives of `names`, asked together; halves of those that are refused, down to each by itself."""
    if not names:
        return
    reasons: dict[str, str] = {}
    found = read_apart(lambda: read(names), names[0], reasons)
    if found is not None:
        yield from found
    elif len(names) == 1:
        refused.update(reasons)
    else:
        half = len(names) // 2
        yield from read_divided(names[:half], read, refused)
        yield from read_divided(names[half:], read, refused)
