"""Output of the demo: each scene in a few rows, all scenes on two screens at its end."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console
from rich.text import Text

from opsverify.language.cells import cut, wrapped
from opsverify.pytest_plugin.summary import ScreenRow
from opsverify.report.summary import reasons_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


_PLAIN_WIDTH: Final = 100
_COLOURS: Final = {"promote": "green", "accept": "green", "hold": "yellow", "rollback": "red", "reject": "red"}


@dataclass(frozen=True)
class Scene:
    """One command: what is done to the platform before it, and the verdict it must have.

    `prepare` returns further arguments. `acts`: the command carries out the verdict of the scene before.
    """

    letter: str
    what: str
    prepare: Callable[[Any], list[str]]
    arguments: tuple[str, ...]
    decision: str
    exit_code: int
    acts: bool = False

    @property
    def stage(self) -> str:
        """The stage that the verdict is of."""
        return "post-rollback" if self.acts else self.arguments[0]


@dataclass(frozen=True)
class Played:
    """Result of one scene."""

    scene: Scene
    exit_code: int
    verdict: dict[str, Any]
    report: str

    @property
    def as_expected(self) -> bool:
        """Whether decision and exit code are those the scene must have."""
        return (self.verdict.get("decision"), self.exit_code) == (self.scene.decision, self.scene.exit_code)


class Status:
    """What the demo prints: summaries to stay, and its progress, in one line on a terminal and as lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = self._console.status("") if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def columns(self) -> int:
        """Cells of a row."""
        return self._console.width if self._console.is_terminal else _PLAIN_WIDTH

    def say(self, text: str) -> None:
        """Show one line of progress."""
        if self._live is not None:
            self._live.update(Text(cut(text, self.columns - 4)))
        else:
            sys.stdout.write(f"  . {text}\n")
            sys.stdout.flush()

    def show(self, rows: Iterable[ScreenRow]) -> None:
        """Print rows that stay."""
        for row in rows:
            style = " ".join(mark for mark in row.marks if mark != "light")
            self._console.print(Text(row.text, style=style), soft_wrap=True)


def summary(played: Played, columns: int) -> Iterator[ScreenRow]:
    """One scene in a few rows, each scene alike: the verdict, its first reason, the report."""
    scene, verdict = played.scene, played.verdict
    outcomes = Counter(check["outcome"] for check in verdict.get("checks", ()))
    decision = str(verdict.get("decision", "no verdict"))
    mark = ("bold", _COLOURS.get(decision, "red"))
    yield ScreenRow(cut(f"({scene.letter}) {scene.what}", columns), ("bold",))
    yield ScreenRow(f"    {scene.stage}: {decision.upper()}  (exit {played.exit_code}; {_expected(played)})", mark)
    yield ScreenRow("    " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    reasons = [*reasons_of(verdict)] if verdict else []
    for outcome, reason in reasons[:1]:
        tag = f"    {outcome + ': ' if outcome else ''}"
        rows = list(wrapped(tag, reason.en, columns))
        yield from (ScreenRow(row) for row in rows[:1])
        if len(rows) > 1:
            yield ScreenRow(cut(" ".join([rows[1], *(row.strip() for row in rows[2:])]), columns))


def _expected(played: Played) -> str:
    scene = played.scene
    return "as expected" if played.as_expected else f"EXPECTED {scene.decision.upper()}, exit {scene.exit_code}"


def end(played: list[Played], folder: Path, seconds: float, columns: int) -> Iterator[ScreenRow]:
    """The scenes once more, one row each, and where everything is."""
    wrong = sum(not one.as_expected for one in played)
    yield ScreenRow("")
    for one in played:
        decision = str(one.verdict.get("decision", "no verdict"))
        text = f"{one.scene.letter:<3}{decision:<10}exit {one.exit_code:<4}{_expected(one):<13}{one.scene.what}"
        yield ScreenRow(cut(text, columns), (_COLOURS.get(decision, "red"),))
    verdicts = "every verdict as expected" if not wrong else f"{wrong} verdicts NOT as expected"
    yield ScreenRow(f"{verdicts}, {seconds:.0f} s", ("bold", "red" if wrong else "green"))
    yield ScreenRow(f"evidence, logs and report.html of each scene: {os.path.relpath(folder)}")
