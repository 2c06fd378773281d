"""Tries: what is done to a run, how, and which exit codes are right; a module `*_tries.py` adds its own.

The project under attack has two checks, both pinned: `t.whole`, which carries out every line of the daily stage, and
`t.other`. Without an attack the stage accepts.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.attack.warm import Warm
from tests.pytest_plugin.suite import HEADER, PINNED, PYPROJECT, TARGET, WHOLE, Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.pytest_plugin.suite import Ran

OTHER = """
@described("t.other")
def test_other(check):
    check.measure("x", 0.0, RATE)
"""
PIN_OTHER = """
["t.other"]
test = "test_other.py::test_other"
stages = ["daily"]
lines = ["1-daily/llm"]
severity = "sev2"
ko = "점검"
en = "A check"
"""
HOLDS = (2, 3, 4, 5, 10)
"""Exit codes that no pipeline takes for a decision."""


@dataclass(frozen=True)
class Stage:
    """A stage run of the changed project: the usual way to try something.

    `files` are written (None: removed) relative to the project; `{header}` and `{other}` stand for what check files
    begin with and for the file of `t.other`. `body` becomes one more check, `t.case`.
    """

    files: Mapping[str, str | None] = field(default_factory=dict)
    body: str = ""
    args: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    way: str = "cli"

    def __call__(self, suite: Suite) -> Ran:
        """Change the project and run its daily stage."""
        if self.body:
            lines = "\n    ".join(self.body.strip().splitlines())
            suite.checks("case", f'@described("t.case")\ndef test_case(check, request):\n    {lines}\n')
        for name, text in self.files.items():
            path = suite.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(filled(text), encoding="utf-8")
        suite.variables.update({name: filled(value, suite.root) for name, value in self.variables.items()})
        args = [filled(each, suite.root) for each in self.args]
        return WARM.run(suite, args) if self.way == "cli" else suite.run(self.way.removeprefix("new-"), args)


@dataclass(frozen=True)
class Try:
    """One try; `says` must stand in the verdict's reasons or in what was printed."""

    kind: str
    what: str
    how: Callable[[Suite], Ran]
    expected: tuple[int, ...] = HOLDS
    says: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}".replace(" ", "_")


WARM = Warm()


def filled(text: str, root: Path | None = None) -> str:
    """`text` with its placeholders filled in."""
    for name, value in (
        ("{header}", HEADER),
        ("{other}", HEADER + OTHER),
        ("{pyproject}", PYPROJECT),
        ("{root}", root),
    ):
        text = text.replace(name, str(value))
    return text


def project(root: Path) -> Suite:
    """The project under attack."""
    suite = Suite.make(root)
    suite.checks("other", OTHER)
    (root / "checks" / "plan.toml").write_text(PINNED + PIN_OTHER, encoding="utf-8")
    return suite


def all_tries() -> Iterator[Try]:
    """The tries of every module `*_tries.py` in this package."""
    for module in pkgutil.iter_modules(importlib.import_module("tests.attack").__path__):
        if module.name.endswith("_tries"):
            yield from importlib.import_module(f"tests.attack.{module.name}").TRIES


__all__ = ["HOLDS", "TARGET", "WHOLE", "Stage", "Try", "all_tries", "filled", "project"]
