"""Text of a definition: whether two of them say the same, although the server wrote them differently.

PostgreSQL writes an expression that it has read from its own text not always as before: the cast of an array becomes
one of each element (`status IN ('new', 'paid')` of a varchar), and `(a AND b) AND c` loses its parentheses. Both are
undone here, and nothing else: each rewriting keeps the meaning, so no difference is lost by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+) | (?P<text>(?:[eE]|[uU]&)?'(?:[^']|'')*') | (?P<name>"(?:[^"]|"")*")
      | (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$) | (?P<word>\w+) | (?P<cast>::) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PAIRS: Final = {"(": ")", "[": "]"}
_OF_A_TYPE: Final = frozenset({"varying", "precision", "with", "without", "time", "zone"})
"""Second words of types: `character varying`, `timestamp with time zone`."""


@dataclass(frozen=True)
class Group:
    """What stands in brackets: the opening one, and the items within."""

    opening: str
    items: tuple[Item, ...]


Item: TypeAlias = str | Group
"""A token, or what stands in brackets."""


def same_meaning(one: str, other: str) -> bool:
    """Whether two definitions are the same but for how the server writes an expression."""
    return one == other or _normal(one) == _normal(other)


def _normal(text: str) -> object:
    """The definition as a tree in one form; the text itself where its brackets do not pair."""
    tokens = [found[0] for found in _TOKEN.finditer(text) if found.lastgroup != "space"]
    try:
        items, rest = _grouped(tokens, 0, "")
    except (IndexError, RecursionError):
        return text
    return text if rest != len(tokens) else _simplified(items)


def _grouped(tokens: list[str], at: int, end: str) -> tuple[tuple[Item, ...], int]:
    """Return the items up to the bracket that ends them, and where it stands. Raises IndexError without one."""
    items: list[Item] = []
    while at < len(tokens) or end:
        token = tokens[at]
        if token == end:
            return tuple(items), at
        if token in _PAIRS:
            inner, at = _grouped(tokens, at + 1, _PAIRS[token])
            items.append(Group(token, inner))
        elif token in _PAIRS.values():
            return tuple(items), at
        else:
            items.append(token)
        at += 1
    return tuple(items), at


def _simplified(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items in one form, from the innermost brackets outwards."""
    inner = tuple(
        Group(item.opening, _simplified(item.items)) if isinstance(item, Group) else item for item in items
    )  # fmt: skip
    inner = _elements_cast(inner)
    return _flat(tuple(map(_once, inner)))


def _once(item: Item) -> Item:
    """Turn `((x))` into `(x)`."""
    if _is_parenthesis(item) and isinstance(item, Group) and len(item.items) == 1 and _is_parenthesis(item.items[0]):
        return item.items[0]
    return item


def _is_parenthesis(item: Item) -> bool:
    return isinstance(item, Group) and item.opening == "("


def _elements_cast(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Turn `(ARRAY[a, b])::t[]` into `(ARRAY[(a)::t, (b)::t])`."""
    done: list[Item] = []
    at = 0
    while at < len(items):
        elements = _array(items[at])
        kind, after = _array_type(items, at + 1) if elements is not None else ((), at)
        if elements is None or not kind:
            done.append(items[at])
            at += 1
            continue
        cast: list[Item] = []
        for nth, element in enumerate(elements):
            cast += [*([","] if nth else []), Group("(", element), "::", *kind]
        done.append(Group("(", ("ARRAY", Group("[", tuple(cast)))))
        at = after
    return tuple(done)


def _array(item: Item) -> list[tuple[Item, ...]] | None:
    """Return the elements of `(ARRAY[...])`; None of anything else."""
    if not isinstance(item, Group) or item.opening != "(":
        return None
    match item.items:
        case ("ARRAY", Group("[", (_, *_) as listed)):
            elements: list[list[Item]] = [[]]
            for one in listed:
                if one == ",":
                    elements.append([])
                else:
                    elements[-1].append(one)
            # Arrays within are cast by another type than their own elements: left alone.
            return None if any("ARRAY" in element for element in elements) else [*map(tuple, elements)]
    return None


def _array_type(items: tuple[Item, ...], at: int) -> tuple[tuple[Item, ...], int]:
    """Return the type in `::type[]`, without its brackets, and where it ends; nothing where there is no such cast."""
    if items[at : at + 1] != ("::",):
        return (), at
    kind: list[Item] = []
    for place in range(at + 1, len(items)):
        item = items[place]
        if item == Group("[", ()):
            return tuple(kind), place + 1
        goes_on = not kind or kind[-1] == "." or item == "." or _is_parenthesis(item) or item in _OF_A_TYPE
        if not goes_on:
            break
        kind.append(item)
    return (), at


def _flat(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Take the parentheses off an operand of AND that is itself operands of AND; of OR likewise."""
    for word, another in (("AND", "OR"), ("OR", "AND")):
        if word not in items or another in items or "BETWEEN" in items:
            continue
        operands: list[list[Item]] = [[]]
        for item in items:
            if item == word:
                operands.append([])
            else:
                operands[-1].append(item)
        flat: list[Item] = []
        for nth, operand in enumerate(operands):
            flat += [*([word] if nth else []), *_opened(operand, word, another)]
        return tuple(flat)
    return items


def _opened(operand: list[Item], word: str, another: str) -> list[Item]:
    match operand:
        case [Group("(", items)] if word in items and another not in items and "BETWEEN" not in items:
            return list(items)
    return operand
