"""Summary of a run: families of checks, decision, the most important reasons, next steps, evidence; on one screen."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.core.decision_words import capitals
from opsverify.core.exit_codes import ExitCode
from opsverify.core.stages import Decision, Outcome
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.cells import cells, cut, wrapped
from opsverify.language.message import Message, in_language, join, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opsverify.core.causes import Cause
    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.core.verdict import Verdict
    from opsverify.pytest_plugin.stage_run import StageRun

MOST_REASONS: Final = 3
_SHORT: Final = 4
"""Cells of the word of an outcome."""
_MOST_ROWS: Final = 3
"""Rows of the terminal for one reason; `verdict.json` has the whole of it."""
_LONGEST: Final = 400
_TAG: Final = 8
"""Cells of the word before a row."""
WORDS: Final = {
    Outcome.PASS: Message.of("pass", "통과"),
    Outcome.FAIL: Message.of("FAIL", "실패"),
    Outcome.INCONCLUSIVE: Message.of("HOLD", "보류"),
    Outcome.NOT_APPLICABLE: Message.of("n/a", "없음"),
    Outcome.WAIVED: Message.of("waiv", "면제"),
}
COUNTED: Final = {
    Outcome.PASS: say("pass"),
    Outcome.FAIL: say("fail"),
    Outcome.INCONCLUSIVE: say("inconclusive"),
    Outcome.NOT_APPLICABLE: say("not_applicable"),
    Outcome.WAIVED: say("waived"),
}
DECISIONS: Final = {decision: capitals(decision) for decision in Decision}
"""Decisions as the terminal shows them: in Korean with the contract's word, which scripts look for."""
COLOURS: Final = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_APPLICABLE: "light",
    Outcome.WAIVED: "cyan",
}
_DECISION_COLOURS: Final = {
    Decision.PROMOTE: "green",
    Decision.ACCEPT: "green",
    Decision.HOLD: "yellow",
    Decision.ROLLBACK: "red",
    Decision.REJECT: "red",
}


@dataclass(frozen=True)
class ScreenRow:
    """One row of the terminal, and how it is marked there: names that pytest's terminal writer takes."""

    text: str
    marks: tuple[str, ...] = ()


def result_line(check: Planned, result: CheckResult, language: str) -> str:
    """One line for one finished check."""
    word = WORDS[result.outcome].text(language)
    parts = [_padded(word, _SHORT), check.id]
    if result.outcome is Outcome.PASS:
        parts.append(check.title(language))
    parts.append(in_language(result.message, language))
    return "  ".join(part for part in parts if part)


def families(results: Iterable[CheckResult], language: str) -> Iterator[ScreenRow]:
    """One counted line for each family of checks (`health`, `sql`): passed, and what the others did."""
    counts: dict[str, Counter[Outcome]] = {}
    for result in results:
        counts.setdefault(result.id.partition(".")[0], Counter())[result.outcome] += 1
    width = max(map(len, counts), default=0)
    for name, found in counts.items():
        worst = next(outcome for outcome in _WORST_FIRST if found[outcome])
        rest = _counts(found, language)
        yield ScreenRow(f"{_padded(WORDS[worst].text(language), _SHORT)}  {name:<{width}}  {rest}", (COLOURS[worst],))


_WORST_FIRST: Final = (
    Outcome.FAIL,
    Outcome.INCONCLUSIVE,
    Outcome.WAIVED,
    Outcome.PASS,
    Outcome.NOT_APPLICABLE,
)


def summary(run: StageRun, columns: int | None) -> Iterator[ScreenRow]:
    """The verdict: decision, counts, reasons, next commands, and where the evidence is; in `columns` (None: any)."""
    verdict, language = run.judge(), run.target.language
    counts = Counter(result.outcome for result in verdict.results)
    head = say(
        "{stage} on {target}: {decision}  (exit {code}; {executed} of {planned} planned checks executed)",
        stage=run.stage.name,
        target=run.target.name,
        decision=DECISIONS[verdict.decision],
        code=run.concluded,
        executed=verdict.executed,
        planned=len(verdict.plan.checks),
    )
    yield ScreenRow("")
    for row in wrapped("", head.text(language), columns):
        yield ScreenRow(row, ("bold", _DECISION_COLOURS[verdict.decision]))
    yield ScreenRow(f"  {_counts(counts, language)}")
    for note in run.notes:
        yield from _rows(say("note").text(language), in_language(note, language), columns)
    if run.coverage:
        yield from _rows(say("compared").text(language), in_language(run.coverage, language), columns)
    causes = verdict.causes
    shown = causes[:MOST_REASONS]
    for cause in shown:
        yield from _reason(cause, language, columns)
    if rest := len(causes) - len(shown):
        yield from _rows(
            "", say("and {count} more reasons in {file}", count=rest, file=VERDICT).text(language), columns
        )
    for step in _next(run, verdict):
        yield ScreenRow(_tag(say("next").text(language)) + step.text(language))
    yield ScreenRow(f"{_tag(say('evidence').text(language))}{run.folder.path}")
    for page in run.pages:
        yield ScreenRow(f"{_tag(say('page').text(language))}{page}")


def _next(run: StageRun, verdict: Verdict) -> Iterator[Message]:
    steps = verdict.actions(run.target)
    for step in steps:
        command = run.command(verdict, step)
        yield say("{command}    (runbook {section})", command=command, section=step.runbook)
    if steps:
        yield say(
            "or all of it, verified: opsverify act {run} --target {target} --yes",
            run=run.folder.path,
            target=run.target_file,
        )
    if run.concluded in {ExitCode.HOLD, ExitCode.INTERNAL_ERROR}:
        yield say("fix what could not be measured, then rerun; do not promote until then")
    elif verdict.decision is Decision.REJECT:
        yield say("fix what failed, then rerun")


def _reason(cause: Cause, language: str, columns: int | None) -> Iterator[ScreenRow]:
    tag = WORDS[cause.outcome].text(language)
    count = say("  ({count} checks)", count=len(cause.checks)).text(language) if len(cause.checks) > 1 else ""
    text = cause.text.text(language).removesuffix(count)
    for number, row in enumerate(_rows(tag, text, columns, count)):
        yield ScreenRow(row.text, (COLOURS[cause.outcome],) if number == 0 else ())


def _counts(counts: Counter[Outcome], language: str) -> str:
    found = [say("{count} {outcome}", count=counts[outcome], outcome=COUNTED[outcome]) for outcome in COUNTED]
    return join(", ", (text for text, outcome in zip(found, COUNTED, strict=True) if counts[outcome])).text(language)


def _rows(tag: str, text: str, columns: int | None, end: str = "") -> Iterator[ScreenRow]:
    if columns is None:
        yield ScreenRow(_tag(tag) + textwrap.shorten(text, _LONGEST, placeholder=" ...") + end)
        return
    rows = list(wrapped(_tag(tag), text + end, columns))
    if len(rows) > _MOST_ROWS:
        last = cut(f"{rows[_MOST_ROWS - 1]} {rows[_MOST_ROWS].strip()}{' ' * columns}.", columns - cells(end))
        rows = [*rows[: _MOST_ROWS - 1], last + end]
    yield from map(ScreenRow, rows)


def _tag(word: str) -> str:
    return f"  {_padded(word, _TAG)}  "


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def plain(rows: Sequence[ScreenRow]) -> str:
    """Rows as a text without marks."""
    return "".join(f"{row.text}\n" for row in rows)
