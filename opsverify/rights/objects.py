"""Objects of a database that rights are held on: sets of them as bits, and the lines in which rights are written.

A line is `SELECT, INSERT ON TABLE public.orders`, or `... ON ALL TABLES IN SCHEMA public` where the whole schema has
them. `OWNER` is the owner's; `GRANT OPTION FOR SELECT` is the right to hand SELECT on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWNER: Final = "OWNER"
GRANT_OPTION: Final = "GRANT OPTION FOR "
PRIVILEGES: Final = (
    OWNER, "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN", "EXECUTE", "USAGE",
    "CREATE", "CONNECT", "TEMPORARY", "SET", "ALTER SYSTEM",
)  # fmt: skip
"""Privileges in the order in which a line has them."""
PLURALS: Final = {
    "TABLE": "TABLES", "VIEW": "VIEWS", "SEQUENCE": "SEQUENCES", "FUNCTION": "FUNCTIONS", "PROCEDURE": "PROCEDURES",
    "TYPE": "TYPES",
}  # fmt: skip
"""Kinds of objects that lie in schemas, with the word for all of them."""
_FEWEST: Final = 2
"""Objects of one kind in a schema, from which on a line stands for all of them, and for those to come."""
_ON: Final = " ON "

Bits = int
"""A set of objects."""
Held = dict[str, Bits]
"""Objects by privilege."""


@dataclass(slots=True)
class ObjectIndex:
    """Every object by its text (`TABLE public.orders`), and the sets that lines stand for."""

    numbers: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    scopes: dict[str, Bits] = field(default_factory=dict)
    kinds: dict[str, Bits] = field(default_factory=dict)
    parts: dict[str, Bits] = field(default_factory=dict)
    """What is reached through another object: the partitions of a table, its columns."""

    def add(self, kind: str, name: str, schema: str | None = None, parent: str | None = None) -> Bits:
        """The object, known from now on; in a `schema` whose objects a line may stand for."""
        text = f"{kind} {name}"
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
        bit = 1 << self.numbers[text]
        self.kinds[kind] = self.kinds.get(kind, 0) | bit
        if schema is not None and kind in PLURALS:
            scope = f"ALL {PLURALS[kind]} IN SCHEMA {schema}"
            self.scopes[scope] = self.scopes.get(scope, 0) | bit
        if parent is not None:
            self.parts[parent] = self.parts.get(parent, 0) | bit
        return bit

    def find(self, target: str) -> Bits | None:
        """The objects that the end of a line stands for; None where there is no such object."""
        if target.startswith("ALL ") and " IN SCHEMA " in target:
            return self.scopes.get(target, 0)  # none left: nothing is missing
        return 1 << self.numbers[target] if target in self.numbers else None

    @property
    def everything(self) -> Bits:
        """All objects."""
        return (1 << len(self.texts)) - 1

    def with_parts(self, bits: Bits) -> Bits:
        """`bits`, with what is reached through them: partitions, and then columns."""
        for _ in ("partitions", "columns"):
            for parent, parts in self.parts.items():
                if parent in self.numbers and bits >> self.numbers[parent] & 1:
                    bits |= parts
        return bits

    def lines(self, held: Mapping[str, Bits]) -> tuple[str, ...]:
        """The lines of a set of rights, as few as say it."""
        privileges: dict[str, list[str]] = {}
        for privilege in sorted(held, key=order):
            for target in self._targets(held[privilege]):
                privileges.setdefault(target, []).append(privilege)
        return tuple(f"{', '.join(names)}{_ON}{target}" for target, names in sorted(privileges.items(), key=_place))

    def _targets(self, bits: Bits) -> Iterator[str]:
        whole, rest = self.with_parts(bits), bits
        for parent, parts in self.parts.items():
            if parent in self.numbers and whole >> self.numbers[parent] & 1:
                rest &= ~parts
        for scope, members in self.scopes.items():
            if members.bit_count() >= _FEWEST and members & ~whole == 0:
                rest &= ~members
                yield scope
        while rest:
            low = rest & -rest
            rest ^= low
            yield self.texts[low.bit_length() - 1]


def order(privilege: str) -> tuple[int, str]:
    """Where a privilege stands in a line: grant options last."""
    name = privilege.removeprefix(GRANT_OPTION)
    place = PRIVILEGES.index(name) if name in PRIVILEGES else len(PRIVILEGES)
    return place + (len(PRIVILEGES) + 1 if name != privilege else 0), privilege


def _place(line: tuple[str, list[str]]) -> tuple[bool, str]:
    return not line[0].startswith("ALL "), line[0]


def parse_line(line: str) -> tuple[tuple[str, ...], str]:
    """Privileges and target of one line. Raises ValueError with the expected form."""
    privileges, on, target = line.partition(_ON)
    names = tuple(name.strip() for name in privileges.split(","))
    unknown = [name for name in names if name.removeprefix(GRANT_OPTION) not in PRIVILEGES]
    if not on or not target.strip() or unknown:
        raise ValueError(
            say(
                "{line!r} is no right: expected a form such as {example!r}; privileges: {known}",
                line=line,
                example="SELECT, INSERT ON TABLE public.orders",
                known=", ".join(PRIVILEGES),
            )
        )
    return names, target.strip()
