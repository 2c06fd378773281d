"""Questions about a restored database, by name, in addition to the runbook's own SQL; each answer is a `Finding`.

`post-dr` queries the target's database, one question for each check; a rehearsal queries the server it restored with
all of them, and keeps the answers in the drill's file. Only a rehearsal reads files, or queries as a superuser.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import randbits
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from opsverify.errors import Inconclusive
from opsverify.language.kept import keep, revive
from opsverify.language.message import join, say
from opsverify.limits import NONE
from opsverify.recovery.ledger.absent import NOTHING_RECORDED
from opsverify.recovery.ledger.catalog import KINDS, VERSION
from opsverify.recovery.verify import (
    catalog_checks,
    consistency,
    coverage,
    ledger_checks,
    lost_pages,
    partitions,
    unlogged,
)
from opsverify.recovery.verify.finding import Finding, joined
from opsverify.recovery.verify.ledger_checks import Sampling
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from opsverify.config.recovery import Recovery
    from opsverify.core.check import Check
    from opsverify.evidence.redact import Redactor
    from opsverify.evidence.run_folder import RunFolder
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.verify.finding import Cover, Errors

    Ask = Callable[[], Finding]

T = TypeVar("T")

PRODUCTION = ("sequences", "validity")
"""Questions whose problems production may have itself: the ledger records them."""

BUCKETS, CATALOG = "buckets/", "catalog/"
COVERAGE = "coverage"
"""The answer on how every table was compared; it needs those on all tables."""
ANSWERS = "answers"
"""Folder of a run of post-dr in which its answers are kept, one file each: workers of one run share nothing else."""
LONGEST = 120
"""Letters of a file's name, at most; a longer name of a table is replaced by its hash."""


def production_of(source: Source) -> dict[str, list[str]]:
    """Return what is found of production itself, to be recorded: a restore that has it too is as it should be."""
    # One object that this role may not read, or cannot, leaves the others to be recorded.
    asks = Questions(None, dt.datetime.now(dt.UTC), source, errors=Inconclusive).all()
    return {name: list(asks[name]().problems) for name in PRODUCTION}


def as_in_production(ask: Ask, recorded: Sequence[str], *, comparable: bool = True) -> Finding:
    """Ask, and make a note of each problem that was recorded of production; values in it may be others by now.

    Problems that another version recorded are not `comparable`: it wrote names otherwise.
    """
    known = {_subject(line) for line in recorded}
    finding = ask()
    if recorded and finding.problems and not comparable:
        why = say(
            "what production has of it was recorded by another version of opsverify: run `opsverify ledger capture`"
        )
        return replace(finding, problems=(), unknown=join("; ", (listed(finding.of, finding.problems), why)))
    same = tuple(line for line in finding.problems if _subject(line) in known)
    if not same:
        return finding
    notes = tuple(say("as in production: {line}", line=line) for line in same)
    problems = tuple(line for line in finding.problems if line not in same)
    return replace(finding, problems=problems, notes=(*finding.notes, *notes))


def _subject(line: str) -> str:
    return re.sub(r"is at -?\d+|holds -?\d+", "", line)


def _both(first: Ask, second: Ask) -> Finding:
    return joined([first(), second()])


def answer_named(answers: Mapping[str, T], name: str) -> T:
    """Return the answer called `name`. Raises Inconclusive where nothing was recorded that it could be about."""
    if name not in answers:
        if not any(known.startswith(CATALOG) for known in answers):
            raise Inconclusive(NOTHING_RECORDED)
        raise Inconclusive(
            say("{name}: nothing was recorded of it before the recovery target; capture by schedule", name=name)
        )
    return answers[name]


def require_history(history: History | None) -> History:
    """Return `history`. Raises Inconclusive where nothing was recorded."""
    if history is None:
        raise Inconclusive(NOTHING_RECORDED)
    return history


@dataclass(frozen=True)
class Questions:
    """Questions to the database behind `source`; `history` is None where nothing was recorded (then it holds).

    `limited`: statements have a time limit. `errors`: what one object may meet without hiding the others.
    """

    history: History | None
    at: dt.datetime
    source: Source
    live: Callable[[], Source] | None = None
    sampling: Sampling | None = None
    limited: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    errors: Errors = ()

    def all(self) -> Mapping[str, Ask]:
        """Every question by name, in the order in which they are best run."""
        asks: dict[str, Ask] = {
            "sequences": partial(consistency.check_sequences, self.source, self.errors),
            "foreign_keys": partial(consistency.check_foreign_keys, self.source),
            "unique_keys": partial(consistency.check_unique_keys, self.source),
            "validity": partial(consistency.check_validity, self.source),
            "unlogged": partial(unlogged.check_unlogged, self.source, self.history.pages if self.history else None),
        }
        asks["partitions"] = partial(partitions.check_partitions, self.source, self.errors)
        if self.history is None:
            return asks
        for name in PRODUCTION:
            lines, comparable = self.history.production.get(name, ()), self.history.catalog_version == VERSION
            asks[name] = partial(as_in_production, asks[name], lines, comparable=comparable)
        asks["sequences"] = partial(
            _both,
            asks["sequences"],
            partial(catalog_checks.check_sequence_values, self.history, self.source, self.errors),
        )
        asks["pages"] = partial(lost_pages.check_pages, self.history, self.source)
        for kind in KINDS:
            asks[CATALOG + kind] = partial(catalog_checks.check_catalog, self.history, kind, self.source)
        for name in self.history.tables:
            asks[BUCKETS + name] = partial(
                ledger_checks.check_table,
                self.history, name, self.source, self.at,
                live=self.live, sampling=self.sampling, limited=self.limited,
            )  # fmt: skip
        asks["large_objects"] = partial(catalog_checks.check_large_objects, self.history, self.source)
        return asks

    def coverage(self, answer: Callable[[str], Finding]) -> Finding:
        """How each table was compared, by the `answer` on it. Raises as what `answer` raises."""
        history = require_history(self.history)
        covers: dict[str, Cover] = {name: answer(BUCKETS + name).cover for name in history.tables}
        found = coverage.check_coverage(history, self.source, covers, self.left_out)
        objects = answer("large_objects")
        return replace(found, of=join("; ", filter(None, [found.of, objects.of])))


@dataclass(frozen=True)
class RestoredData:
    """Answers by name: queried now, or kept by a drill."""

    answer: Callable[[str], Finding]

    def measure(self, check: Check, name: str) -> None:
        """Measure on `check` how many problems the question `name` found, naming the first of them.

        Raises Inconclusive where it could not be answered.
        """
        finding = self.answer(name)
        if name == COVERAGE:
            measure_coverage(check, finding)
            return
        keys = finding.keys.all if finding.keys else ()
        if lines := [*finding.problems, *finding.notes, *keys]:
            check.attach("found", "\n".join(lines))
        if finding.unknown:
            raise Inconclusive(finding.unknown)
        check.measure(
            say("problems"), len(finding.problems), NONE, samples=finding.asked, of=listed(finding.of, finding.problems)
        )


def measure_coverage(check: Check, finding: Finding) -> None:
    """Measure on `check` that every table was compared, with the coverage. Raises Inconclusive where one was not."""
    check.attach("coverage", finding.of)
    check.coverage = finding.unknown or finding.of
    if finding.unknown:
        raise Inconclusive(finding.unknown)
    check.measure(
        say("not compared"), 0, NONE, samples=finding.asked, of=say("tables not compared: {of}", of=finding.of)
    )


def save_answer(folder: RunFolder, redactor: Redactor, name: str, finding: Finding) -> Finding:
    """Keep an answer in the run's folder, and hand it back; a rehearsal keeps its own in the drill's file."""
    (folder.path / ANSWERS).mkdir(exist_ok=True)
    folder.write_json(_answer_file(name), keep({"name": name, "finding": finding.to_dict()}), redactor)
    return finding


def _answer_file(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    file = quote(name.replace("/", ".", 1), safe="")  # tables may be called anything
    return f"{ANSWERS}/{file if len(file) <= LONGEST else digest}.json"


def load_answer(folder: Path, name: str) -> Finding | None:
    """Read what `save_answer` kept of one question; None where it was not asked yet."""
    path = folder / _answer_file(name)
    return Finding.from_dict(_kept(path)["finding"]) if path.exists() else None


def _kept(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = revive(json.loads(path.read_text(encoding="utf-8")))
    return found


def load_answers(folder: Path) -> dict[str, Any]:
    """Read what `save_answer` kept in a run's folder, by name."""
    kept_ones = (_kept(path) for path in sorted((folder / ANSWERS).glob("*.json")))
    return {one["name"]: one["finding"] for one in kept_ones}


def sampling_of(recovery: Recovery) -> Sampling | None:
    """The target's sampling of large tables, if configured; each run draws others, and reports its seed."""
    chosen = recovery.sampling
    return Sampling(chosen.above_rows, chosen.one_in, chosen.confidence, randbits(32)) if chosen else None
