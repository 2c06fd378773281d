"""Output of the demo: each scene in a few rows, all scenes on two screens at its end."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Console
from rich.text import Text

from opsverify.core.stages import Decision, Outcome
from opsverify.language.cells import cells, cut, wrapped
from opsverify.language.message import as_message, in_language, join, say
from opsverify.language.tell import tell
from opsverify.pytest_plugin.summary import COUNTED, DECISIONS, ScreenRow
from opsverify.report.summary import reasons_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from opsverify.language.message import Message


_PLAIN_WIDTH: Final = 100
_COLOURS: Final = {"promote": "green", "accept": "green", "hold": "yellow", "rollback": "red", "reject": "red"}


@dataclass(frozen=True)
class Scene:
    """One command: what is done to the platform before it, and the verdict it must have.

    `prepare` returns further arguments. `acts`: the command carries out the verdict of the scene before.
    """

    letter: str
    what: Message
    prepare: Callable[[Any], list[str]]
    arguments: tuple[str, ...]
    decision: str
    exit_code: int
    acts: bool = False

    @property
    def title(self) -> Message:
        """The scene's letter and what it is."""
        return as_message(f"({self.letter}) ") + self.what

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

    language: str = "en"
    """The reader's."""

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
            self._live.update(Text(cut(in_language(text, self.language), self.columns - 4)))
        else:
            tell(as_message("  . ") + text, self.language)

    def show(self, rows: Iterable[ScreenRow]) -> None:
        """Print rows that stay."""
        for row in rows:
            style = " ".join(mark for mark in row.marks if mark != "light")
            self._console.print(Text(row.text, style=style), soft_wrap=True)


def summary(played: Played, columns: int, language: str = "en") -> Iterator[ScreenRow]:
    """One scene in a few rows, each scene alike: the verdict, its first reason, the report."""
    scene, verdict = played.scene, played.verdict
    outcomes = Counter(check["outcome"] for check in verdict.get("checks", ()))
    decision = str(verdict.get("decision", ""))
    mark = ("bold", _COLOURS.get(decision, "red"))
    yield ScreenRow(cut(scene.title.text(language), columns), ("bold",))
    decided = say(
        "{stage}: {decision}  (exit {code}; {expected})",
        stage=scene.stage,
        decision=DECISIONS[Decision(decision)] if decision else say("NO VERDICT"),
        code=played.exit_code,
        expected=_expected(played),
    )
    yield ScreenRow(f"    {decided.text(language)}", mark)
    counts = [say("{count} {outcome}", count=count, outcome=COUNTED[Outcome(one)]) for one, count in outcomes.items()]
    yield ScreenRow(f"    {join(', ', counts).text(language)}")
    reasons = [*reasons_of(verdict)] if verdict else []
    for outcome, reason in reasons[:1]:
        tag = f"    {COUNTED[Outcome(outcome)].text(language) + ': ' if outcome else ''}"
        rows = list(wrapped(tag, reason.text(language), columns))
        yield from (ScreenRow(row) for row in rows[:1])
        if len(rows) > 1:
            yield ScreenRow(cut(" ".join([rows[1], *(row.strip() for row in rows[2:])]), columns))


def _expected(played: Played) -> Message:
    if played.as_expected:
        return say("as expected")
    scene = played.scene
    return say("EXPECTED {decision}, exit {code}", decision=scene.decision.upper(), code=scene.exit_code)


def _padded(text: str, width: int) -> str:
    return text + " " * max(1, width - cells(text))


def end(played: list[Played], folder: Path, seconds: float, columns: int, language: str = "en") -> Iterator[ScreenRow]:
    """The scenes once more, one row each, and where everything is."""
    wrong = sum(not one.as_expected for one in played)
    yield ScreenRow("")
    for one in played:
        decision = str(one.verdict.get("decision", ""))
        texts = (
            (as_message(f"{one.scene.letter}"), 3),
            (as_message(decision) if decision else say("no verdict"), 10),
            (say("exit {code}", code=one.exit_code), 9 if language == "en" else 13),
            (_expected(one), 13),
        )
        row = "".join(_padded(text.text(language), width) for text, width in texts) + one.scene.what.text(language)
        yield ScreenRow(cut(row, columns), (_COLOURS.get(decision, "red"),))
    verdicts = say("{wrong} verdicts NOT as expected", wrong=wrong) if wrong else say("every verdict as expected")
    last = say("{verdicts}, {seconds:.0f} s", verdicts=verdicts, seconds=seconds)
    yield ScreenRow(last.text(language), ("bold", "red" if wrong else "green"))
    where = say("evidence, logs and report.html of each scene: {folder}", folder=os.path.relpath(folder))
    yield ScreenRow(where.text(language))
