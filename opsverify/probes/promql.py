"""PromQL expression, parsed: the selectors that it needs, and what its functions do with them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from promql_parser import parse

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    import datetime as dt

_ABSENT: Final = frozenset({"absent", "absent_over_time"})
_OF_COUNTERS: Final = frozenset({"rate", "irate", "increase", "resets"})
_MOST_ALTERNATIVES: Final = 64


@dataclass(frozen=True)
class Selector:
    """One selector of an expression, as text without range and offset.

    `labels` are those that a series must have to match. `reach_s` is how far back it reads; `rate` the function that
    takes it for a counter, empty where none does.
    """

    text: str
    metric: str | None
    labels: tuple[str, ...]
    reach_s: float = 0.0
    rate: str = ""


@cache
def alternatives(expression: str) -> tuple[tuple[Selector, ...], ...]:
    """What must be there for the expression to have a result: all selectors of any one of the alternatives.

    What only takes series away (`unless`), or wants them to be absent, need not be there. Raises Inconclusive for what
    cannot be parsed.
    """
    try:
        return _needed(parse(expression), 0.0, "")
    except ValueError as error:
        raise Inconclusive(
            say("{expression}: cannot be parsed ({error})", expression=one_line(expression), error=one_line(error))
        ) from error


def _needed(node: Any, outer_s: float, function: str) -> tuple[tuple[Selector, ...], ...]:  # noqa: ANN401, PLR0911 - one for each kind
    match type(node).__name__:
        case "VectorSelector":
            return ((_selector(node, outer_s, function),),)
        case "MatrixSelector":
            return ((_selector(node.vector_selector, outer_s + node.range.total_seconds(), function),),)
        case "SubqueryExpr":
            return _needed(node.expr, outer_s + node.range.total_seconds() + _offset_s(node.offset), "")
        case "BinaryExpr":
            left, op = _needed(node.lhs, outer_s, ""), str(node.op)
            if op == "unless":
                return left
            right = _needed(node.rhs, outer_s, "")
            return (left + right)[:_MOST_ALTERNATIVES] if op == "or" else _both(left, right)
        case "Call":
            name = node.func.name
            if name in _ABSENT:
                return ((),)
            return _all(node.args, outer_s, name if name in _OF_COUNTERS else "")
        case "AggregateExpr":
            return _all([part for part in (node.expr, node.param) if part is not None], outer_s, "")
        case "ParenExpr" | "UnaryExpr":
            return _needed(node.expr, outer_s, function)
        case _:
            return ((),)


def _all(nodes: Any, outer_s: float, function: str) -> tuple[tuple[Selector, ...], ...]:  # noqa: ANN401 - the parser's list
    found: tuple[tuple[Selector, ...], ...] = ((),)
    for node in nodes:
        found = _both(found, _needed(node, outer_s, function))
    return found


def _both(
    left: tuple[tuple[Selector, ...], ...], right: tuple[tuple[Selector, ...], ...]
) -> tuple[tuple[Selector, ...], ...]:
    return tuple(one + other for one, other in itertools.product(left, right))[:_MOST_ALTERNATIVES]


def _selector(node: Any, reach_s: float, function: str) -> Selector:  # noqa: ANN401 - the parser's node
    matchers = [(one.name, str(one.op).rpartition(".")[2], one.value) for one in node.matchers.matchers]
    named = [value for name, op, value in matchers if name == "__name__" and op == "Equal"]
    metric = node.name or next(iter(named), None)
    # A label that may be empty or missing need not be there.
    labels = tuple(name for name, op, value in matchers if op in ("Equal", "Re") and value and name != "__name__")
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    shown = ",".join(f"{name}{signs[op]}{_quoted(value)}" for name, op, value in matchers)
    text = f"{node.name or ''}{{{shown}}}" if shown else str(node.name)
    return Selector(text, metric, labels, reach_s + _offset_s(node.offset), function)


def _offset_s(offset: dt.timedelta | None) -> float:
    return max(0.0, offset.total_seconds()) if offset is not None else 0.0


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
