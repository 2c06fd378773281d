"""Messages in the source: every `say(...)` of a package, and texts for people that are no message yet."""

from __future__ import annotations

import ast
import re
import string
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES: Final = ("checks", "smoke", "dr_validation")
SANDBOX: Final = "sandbox"
STARTER: Final = "starter"
"""What `opsverify init` copies: its checks are the reader's own, in the reader's language."""
ERRORS: Final = ("OpsVerifyError", "SandboxError", "Unavailable")
"""The classes of which every error with a message for a person is one; their subclasses are found in the source."""
MEASURES: Final = frozenset(
    {"measure", "measure_estimate", "expect", "expect_all", "enough", "must_answer", "fail", "show", "tell", "complain"}
)
"""Methods of a check, and functions that print, whose first argument a person reads."""
PROGRESS: Final = frozenset({"progress", "_progress", "report"})
"""Functions of the sandbox that print a line of progress."""
AWAITED: Final = "wait_until"
"""The sandbox's function whose third argument names what was waited for, in an error that says it did not come."""
SAID_ELSEWHERE: Final = {
    "sandbox/home.py": "read by the platform, which knows nothing of the library: sandbox/said.py has the messages",
}
"""Modules whose errors are English, with the reason."""
NAMES: Final = frozenset({"problem", "unknown", "reason", "fault", "why", "hint", "message", "problems", "text"})
"""Names of variables, parameters and fields that hold a text for a person."""
PRINTERS: Final = {
    "opsverify/__main__.py": "runs before anything can be imported",
    "opsverify/cli/completion.py": "prints a script of a shell",
    "opsverify/pytest_plugin/exit_status.py": "prints one line of JSON where no evidence can be written",
}
"""Modules that print words of their own by `write`, with the reason."""


_WORD: Final = re.compile(r"(?<![\w/.-])[a-z]{2,}(?![\w/.(=-])")
_SQL: Final = re.compile(r"\b(SELECT|WHERE|GRANT|FROM)\b")


def _of_platform(path: Path) -> bool:
    """Whether a module of the sandbox is the platform under test: what it answers is no message of ours."""
    return "platform" in path.parent.parts or path.relative_to(REPOSITORY).as_posix() == "sandbox/shop/app.py"


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
    found[SANDBOX] = sorted(p for p in (REPOSITORY / SANDBOX).rglob("*.py") if not _of_platform(p))
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


@cache
def errors() -> frozenset[str]:
    """The names of all errors with a message for a person: those of `ERRORS`, and what derives from them."""
    classes = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for top in ("opsverify", "sandbox")
        for path in (REPOSITORY / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found = set(ERRORS)
    while more := {name for name, bases in classes.items() if bases & found} - found:
        found |= more
    return frozenset(found)


def unsaid_in(path: Path) -> Iterator[str]:
    """Places of texts that a person may read and that are in English only.

    Those of errors, of measurements, of what is printed, and of variables and fields that hold a reason.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from (_place(path, text) for text in _texts_in(path, node) if _is_english(text))


def _texts_in(path: Path, node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        if any(isinstance(target, ast.Name) and target.id in NAMES for target in node.targets):
            yield from _sentence(node.value)
        return
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in errors():
        yield from () if str(path.relative_to(REPOSITORY)) in SAID_ELSEWHERE else node.args
    elif name in MEASURES:
        yield from node.args[:1]
        yield from (word.value for word in node.keywords if word.arg == "of")
    elif name == "listed":
        yield from node.args[:1]
    elif name == "write":
        yield from _written(path, node)
    elif name != "say":
        yield from (text for word in node.keywords if word.arg in NAMES for text in _sentence(word.value))
        if name == "progress":
            yield from (text for argument in node.args[:1] for text in _sentence(argument))
        yield from _of_sandbox(path, name, node)


def _written(path: Path, call: ast.Call) -> Iterator[ast.expr]:
    """Sentences written on the terminal."""
    printed = ast.unparse(call.func) in ("sys.stdout.write", "sys.stderr.write")
    if printed and str(path.relative_to(REPOSITORY)) not in PRINTERS:
        yield from (text for argument in call.args for text in _sentence(argument))


def _of_sandbox(path: Path, name: str, call: ast.Call) -> Iterator[ast.expr]:
    """Texts of the sandbox's own functions: what was waited for, and progress."""
    if not path.is_relative_to(REPOSITORY / SANDBOX):
        return
    if name == AWAITED:
        yield from call.args[2:3]
    elif name in PROGRESS:
        yield from call.args[:1]


def _sentence(node: ast.expr) -> Iterator[ast.expr]:
    """`node` where it is put together from literals with at least two words."""
    if isinstance(node, ast.JoinedStr):
        written = " ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        written = node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_sentence(node.body), *_sentence(node.orelse))
        return
    else:
        return
    if len(_WORD.findall(written)) > 1 and not _SQL.search(written):
        yield node


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
