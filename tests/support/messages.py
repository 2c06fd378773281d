"""Messages in the source: every `say(...)` of a package, and texts for people that are no message yet."""

from __future__ import annotations

import ast
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES: Final = ("checks", "smoke", "dr_validation")
STARTER: Final = "starter"
"""What `opsverify init` copies: its checks are the reader's own, in the reader's language."""
ERRORS: Final = frozenset(
    {"Inconclusive", "Unreachable", "NotRestorable", "CheckFailed", "TargetError", "EvidenceError", "Refused"}
)
MEASURES: Final = frozenset({"measure", "measure_estimate", "expect", "expect_all", "enough", "must_answer", "fail"})
"""Methods of a check whose first argument a person reads."""


@dataclass(frozen=True)
class Said:
    """One `say(...)`: where, its template (None: no literal), and the names of its parameters."""

    place: str
    template: str | None
    parameters: frozenset[str]


def packages() -> dict[str, list[Path]]:
    """The modules of every package with messages, by the name of its catalogue file."""
    found: dict[str, list[Path]] = {}
    for path in sorted((REPOSITORY / "opsverify").rglob("*.py")):
        parts = path.relative_to(REPOSITORY / "opsverify").parts
        if parts[0] == STARTER:
            continue
        depth = 2 if parts[0] == "recovery" else 1
        found.setdefault(".".join(parts[:depth]).removesuffix(".py"), []).append(path)
    for suite in SUITES:
        found[f"suite.{suite}"] = sorted((REPOSITORY / suite).rglob("*.py"))
    return found


def said_in(path: Path) -> Iterator[Said]:
    """Every `say(...)` of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            first = node.args[0] if len(node.args) == 1 else None
            literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
            names = frozenset(keyword.arg or "**" for keyword in node.keywords)
            yield Said(_place(path, node), first.value if literal else None, names)  # type: ignore[union-attr]


def unsaid_in(path: Path) -> Iterator[str]:
    """Places of texts that a person may read and that are in English only: of errors, and of measurements."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        texts: list[ast.expr] = []
        if isinstance(node.func, ast.Name) and name in ERRORS:
            texts = node.args
        elif isinstance(node.func, ast.Attribute) and name in MEASURES:
            texts = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "of")]
        elif name == "listed":
            texts = node.args[:1]
        yield from (_place(path, node) for text in texts if _is_english(text))


def fields_of(template: str) -> frozenset[str]:
    """The names in braces of a template; an empty one for `{}`."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


def _is_english(node: ast.expr) -> bool:
    """Whether a text is put together from literals, in one language."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return _is_english(node.left) or _is_english(node.right)
    if isinstance(node, ast.IfExp):
        return _is_english(node.body) or _is_english(node.orelse)
    return isinstance(node, ast.JoinedStr)


def _place(path: Path, node: ast.expr) -> str:
    return f"{path.relative_to(REPOSITORY)}:{node.lineno}"
