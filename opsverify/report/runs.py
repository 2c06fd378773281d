"""Runs on the page: a verdict, its drill, and the earlier rehearsals of the same target."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.once_read import read_json
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.kept import revive
from opsverify.language.message import LANGUAGES, Message, say, unpair
from opsverify.recovery.drill.parts import or_none
from opsverify.recovery.drill.result import Drill
from opsverify.recovery.rpo.measure import NAME as TESTIMONY
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.questions import load_answers
from opsverify.report.model import Note, PageRow, Point, Text, same
from opsverify.report.summary import reasons_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


DRILL: Final = "drill.json"
STAGE: Final = "rehearsal"
NOT_PASSED: Final = ("fail", "inconclusive")
DATA: Final = ("sql.", "ledger.", "consistency.", "restore.random_table")
"""Checks whose failure means that data is missing or changed."""
_TREND: Final = 12
_LONGEST: Final = 170
_NAMED: Final = 3
_OUTCOMES: Final = (
    ("pass", Text("통과", "pass")),
    ("fail", Text("실패", "fail")),
    ("inconclusive", Text("측정 불가", "inconclusive")),
    ("waived", Text("면제", "waived")),
    ("not_applicable", Text("해당 없음", "not applicable")),
)


@dataclass(frozen=True)
class RehearsalRun:
    """One finished run; `drill` only of a rehearsal that started one."""

    folder: Path
    verdict: dict[str, Any]
    drill: Drill | None

    def cause_of(self, check: Mapping[str, Any]) -> Message:
        """Why a check did not pass, as the verdict counts it: without what differs where one cause shows in many."""
        causes = self.verdict.get("causes", ())
        entry = next((cause for cause in causes if check["id"] in cause["checks"] and len(cause["checks"]) > 1), check)
        return unpair(dict(entry), "message")

    @property
    def not_passed(self) -> list[dict[str, Any]]:
        """Checks that failed or could not be measured, failures first."""
        checks = [check for check in self.verdict["checks"] if check["outcome"] in NOT_PASSED]
        return sorted(checks, key=lambda check: NOT_PASSED.index(check["outcome"]))

    def measured(self, check_id: str) -> float | None:
        """The measured value of a check; None where it has none."""
        for check in self.verdict["checks"]:
            if check["id"] == check_id and isinstance(check["measured"], int | float):
                return float(check["measured"])
        return None

    @property
    def testimony(self) -> Mapping[str, Any] | None:
        """The report of the RPO sources in this run's evidence; None where there is none."""
        if self.drill:
            rpo = or_none(self.drill.parts.rpo)
            return rpo.to_dict() if rpo else None
        path = self.folder / TESTIMONY
        return dict(revive(read_json(path))) if path.exists() else None

    @property
    def answers(self) -> Mapping[str, Finding]:
        """The answers of the restored database, by question; empty where there are none."""
        if self.drill:
            answers = or_none(self.drill.parts.answers)
            return answers.findings if answers else {}
        return {name: Finding.from_dict(raw) for name, raw in load_answers(self.folder).items()}

    @property
    def loss_s(self) -> float | None:
        """Seconds of data lost, on which the RPO sources agree."""
        return self.measured("restore.rpo_witnesses")

    @property
    def gb_per_s(self) -> float | None:
        """The rate at which the backup was copied, in GB/s; None where it was not."""
        rate = self.drill.copy_bytes_per_s if self.drill else None
        return None if rate is None else rate / 1e9

    @property
    def point(self) -> Point:
        """The run as one rehearsal of a trend."""
        took = self.drill.took_s if self.drill else None
        return Point(self.folder.name, took, self.loss_s, self.gb_per_s, self.verdict["decision"] == "accept")


def read_run(folder: Path) -> RehearsalRun:
    """The run in `folder`. Raises EvidenceError when it has no verdict."""
    try:
        verdict = read_json(folder / VERDICT)
        drill = Drill.load(folder / DRILL) if (folder / DRILL).exists() else None
    except (EvidenceError, OSError, LookupError, ValueError, TypeError) as error:
        raise EvidenceError(
            say("{folder}: not a finished run ({error}); run opsverify verify first", folder=folder, error=error)
        ) from error
    return RehearsalRun(folder, verdict, drill)


def rehearsals(reports: Path, target: str, until: str) -> list[RehearsalRun]:
    """The last rehearsals on `target` in the reports folder, oldest first, up to the one with run id `until`."""
    return list(islice(finished(reports, target, STAGE, until), _TREND))[::-1]


def finished(reports: Path, target: str, stage: str, until: str) -> Iterator[RehearsalRun]:
    """Finished runs of `stage` on `target` in the reports folder, newest first, from the one with run id `until` on."""
    for folder in sorted(reports.glob(f"*Z-{stage}-*"), reverse=True):
        if folder.name > until:
            continue
        try:
            run = read_run(folder)
        except EvidenceError:  # interrupted, or still running
            continue
        if run.verdict.get("target") == target:
            yield run


def checks_of(run: RehearsalRun) -> tuple[PageRow, ...]:
    """The number of checks by outcome."""
    outcomes = [check["outcome"] for check in run.verdict["checks"]]
    return tuple(PageRow(word, (f"{outcomes.count(name)}",)) for name, word in _OUTCOMES if outcomes.count(name))


def not_passed_of(run: RehearsalRun, most: int = 8) -> tuple[Note, ...]:
    """The checks that did not pass, each with its message; data checks are in the section on data loss."""
    groups: dict[tuple[str, Message], list[dict[str, Any]]] = {}
    for check in run.not_passed:
        if not check["id"].startswith(DATA):
            groups.setdefault((check["outcome"], run.cause_of(check)), []).append(check)
    notes = [Note(_group_text(run, checks), outcome) for (outcome, _), checks in groups.items()]
    more = len(notes) - most
    rest = [Note(Text(f"그 밖에 {more}건", f"and {more} more"))] if more > 0 else []
    return (*notes[:most], *rest)


def _group_text(run: RehearsalRun, checks: list[dict[str, Any]]) -> Text:
    """One cause once: the checks with the same message, by id, and how many there are."""
    message = run.cause_of(checks[0])
    if all(check["message"] == checks[0]["message"] for check in checks):
        message = unpair(checks[0], "message")
    message = message.each(shortened)
    if len(checks) == 1:
        title = checks[0]["title"]
        return Text(*(f"{title[name]} · {checks[0]['id']}: {message.text(name)}" for name in LANGUAGES))
    ids = ", ".join(check["id"] for check in checks[:_NAMED]) + (", ..." if len(checks) > _NAMED else "")
    return same(say("{message}  ({count} checks: {ids})", message=message, count=len(checks), ids=ids))


def reasons_on_page(run: RehearsalRun, most: int = 5) -> tuple[Note, ...]:
    """The reasons of the verdict, each cause once."""
    reasons = reasons_of(run.verdict)
    notes = [Note(same(text.each(shortened)), outcome) for outcome, text in reasons[:most]]
    if (rest := len(reasons) - most) > 0:
        notes.append(Note(same(say("{count} more: see verdict.json", count=rest))))
    return tuple(notes)


def shortened(message: str) -> str:
    """A message, shortened for a page; the verdict has the whole of it."""
    return textwrap.shorten(message, _LONGEST, placeholder=" ...")


def actions_of(run: RehearsalRun, most: int = 6) -> tuple[Note, ...]:
    """The open actions after a run: its checks that did not pass, by owner, and its waivers."""
    owners: dict[str, list[str]] = {}
    for check in run.not_passed:
        owners.setdefault(check["owner"], []).append(check["id"])
    notes = []
    for owner, ids in owners.items():
        named, more = ", ".join(ids[:most]), len(ids) - most
        ko, en = (f" 외 {more}건", f" and {more} more") if more > 0 else ("", "")
        notes.append(Note(Text(f"{owner}: {named}{ko} 조치 후 다시 실행", f"{owner}: fix {named}{en}, then rerun")))
    notes += [
        Note(
            same(
                say(
                    "{owner}: {check} {message}",
                    owner=check["owner"],
                    check=check["id"],
                    message=unpair(check, "message"),
                )
            )
        )
        for check in run.verdict["checks"]
        if check["outcome"] == "waived"
    ]
    return tuple(notes)
