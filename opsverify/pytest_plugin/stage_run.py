"""Run of a stage: its plan, its results, and the verdict and evidence at its end."""

from __future__ import annotations

import datetime as dt
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.config.load import find_target, load_target
from opsverify.config.named_variables import values_to_mask
from opsverify.config.placeholders import filled
from opsverify.config.release_name import release_in
from opsverify.config.run_options import RELEASE, REPORT_DIR, overridden
from opsverify.core.left_out import left_out
from opsverify.core.plan import Plan, Planned, with_uncovered
from opsverify.core.runbook import lines
from opsverify.core.stages import Stage, stage_named
from opsverify.core.verdict import Verdict, judge
from opsverify.core.waivers import too_many, waiver_notes
from opsverify.errors import EvidenceError
from opsverify.evidence.bound import bound_fields
from opsverify.evidence.files import restrict, write_atomic
from opsverify.evidence.junit import JUNIT, junit_xml
from opsverify.evidence.once import clear_locks
from opsverify.evidence.origin import ORIGIN, origin_of
from opsverify.evidence.redact import Redactor
from opsverify.evidence.run_folder import PLAN, RESULTS, RunFolder, timestamp
from opsverify.evidence.seal import seal
from opsverify.evidence.target_state import TargetState
from opsverify.evidence.timestamp import stamp_run
from opsverify.language.message import as_message, pair, say
from opsverify.language.tell import tell
from opsverify.notify.send import Notifier
from opsverify.people.attested import Attestations
from opsverify.pytest_plugin.request import TARGETS, Request, short_window, window_of
from opsverify.pytest_plugin.run_release import verified_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opsverify.config.actions import ActionStep
    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.core.check import Check
    from opsverify.core.results import CheckResult

REPORTS = Path("reports")
COVERED = "ledger.coverage"
"""The check that says how every table of a restored database was compared."""


@dataclass
class StageRun:
    """The state of one run; in an xdist worker only the part that a running check needs."""

    stage: Stage
    target: Target
    target_file: Path
    secrets: Secrets
    window_s: float | None
    folder: RunFolder
    started: dt.datetime
    redactor: Redactor
    as_written: Target
    plan: Plan
    attestations: Attestations
    results: dict[str, CheckResult] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    concluded: int | None = None
    pages: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    verbose: bool = False
    say: Callable[[str], None] = field(default=lambda _text: None)
    binding: dict[str, Any] = field(default_factory=dict)
    bound: dict[str, Any] = field(default_factory=dict)
    """Digests that bind plan and verdict; a target of many keys has many, which were searched for secrets once."""
    state: TargetState | None = None
    history: Path = REPORTS
    running: Check | None = None
    junit: Path | None = None
    """Where JUnit XML is wanted besides the run's folder."""

    @classmethod
    def begin(cls, request: Request, root: Path, folder: RunFolder | None = None) -> StageRun:
        """Load the target and make the run's folder (or join `folder`, in a worker).

        Raises TargetError for everything that is wrong with stage, target, secrets, window or folder.
        """
        stage = stage_named(request.stage)
        target_file = find_target(request.target, root / TARGETS)
        target, secrets = load_target(target_file)
        as_written, target = target, overridden(target, stage.name, request.given)
        window_s = window_of(request, stage, target)
        release = release_in(RELEASE.flag, request.text(RELEASE))
        started = dt.datetime.now(dt.UTC)
        binding: dict[str, Any] = {}
        bound: dict[str, Any] = {}
        redactor = Redactor(values_to_mask(secrets, root / TARGETS))
        state = None
        if folder is None:
            report_dir = request.text(REPORT_DIR)
            folder = RunFolder.create(
                stage.name,
                started,
                root / REPORTS,
                Path(report_dir) if report_dir else None,
                target.evidence.folder_mode,
            )
            state = TargetState.of(root / REPORTS, target.name)
            chain = state.begin(folder.run_id, stage.name, folder.path)
            folder.write_json(ORIGIN, origin_of(root), redactor)
            binding = {"release": release, "chain": chain}
            bound = bound_fields(as_written, root, redactor.text)
        run = cls(
            stage,
            target,
            target_file,
            secrets,
            window_s,
            folder,
            started,
            redactor,
            as_written,
            Plan(stage, ()),
            Attestations(root / REPORTS, target.name, target.people, stage.name, started),
            troubles=[trouble] if (trouble := too_many(as_written, started.date())) else [],
            binding=binding,
            bound=bound,
            state=state,
            history=TargetState.of(root / REPORTS, target.name).history,
        )
        if state is not None:
            run.remarks += run.notifier.outstanding()
        return run

    @property
    def notifier(self) -> Notifier:
        """The receivers of the target."""
        return Notifier(self.target, self.secrets, TargetState(self.history.parent).notifications)

    @property
    def allure_dir(self) -> Path:
        """Where Allure results of this run go."""
        return self.folder.path / RESULTS

    def fix_plan(self, checks: Iterable[Planned]) -> None:
        """Fix the plan and write it down, before the first check runs."""
        self.plan = Plan(self.stage, with_uncovered(self.stage, self.target, checks))
        self.folder.write_json(
            PLAN,
            {"run_id": self.folder.run_id, "target": self.target.name}
            | self.plan.to_dict()
            | {
                "signature_expected": self.target.evidence.signing_key is not None,
                "timestamp_expected": self.target.evidence.timestamp_url is not None,
            }
            | self.binding,
            self.redactor,
            self.bound,
        )
        self._settle_attested()

    def _settle_attested(self) -> None:
        """Take the results of the lines that persons sign for."""
        for check in self.plan.checks:
            if check.attests and not check.not_applicable:
                self.results[check.id] = self.attestations.result(check.id, lines()[check.attests])

    def conclude(self, pytest_status: int) -> tuple[Verdict, int]:
        """Judge, complete the evidence, write the verdict last of all; the verdict and the exit code.

        Raises OSError when the evidence cannot be written.
        """
        from opsverify.evidence.allure import write_result  # noqa: PLC0415 - a plan needs no Allure

        explained = any(result.outcome in ("fail", "inconclusive") for result in self.results.values())
        if pytest_status == 1 and not (explained or self.lost or self.troubles):
            self.troubles.append(say("pytest reports a failure that belongs to no planned check; see its output"))
        verdict = self.judge()
        for result, check in zip(verdict.results, verdict.plan.checks, strict=True):
            if result.started_at is None:
                write_result(self.allure_dir, check, result, self.target, self.stage.name, self.redactor)
        code = verdict.exit_code(pytest_status)
        self._write(verdict, code)
        self.concluded = code
        return verdict, code

    def judge(self) -> Verdict:
        """The verdict over the results so far."""
        verdict = judge(self.plan, self.results, self.troubles)
        if not self.lost:
            return verdict
        by_id = {check.id: self.lost[check.nodeid] for check in self.plan.checks if check.nodeid in self.lost}
        return Verdict(
            verdict.plan,
            tuple(
                type(result)(result.id, result.outcome, by_id[result.id])
                if result.started_at is None and result.id in by_id
                else result
                for result in verdict.results
            ),
            verdict.outcome,
            verdict.troubles,
        )

    def _write(self, verdict: Verdict, code: int) -> None:
        clear_locks(self.folder.path)
        swept = self.redactor.sweep(self.folder.path)
        content = self.redactor.data(self._content(verdict, code)) | self.bound
        xml = junit_xml(content, self.target.language)
        write_atomic(self.folder.path / JUNIT, xml)
        key = self.target.evidence.signing_key
        restrict(self.folder.path)
        verdict_sha256 = seal(self.folder, content, self.secrets.of(key), swept.sums)
        if self.state is not None:
            try:
                self.state.finish(self.folder.run_id, self.stage.name, verdict.decision.value, verdict_sha256)
            except EvidenceError:  # a decision that the target's state does not know is none
                self.folder.refuse_verdict()
                raise
        self._hand_out(xml, content)

    def _hand_out(self, junit: bytes, content: dict[str, Any]) -> None:
        """What is for convenience only: where it cannot be written, the sealed verdict stands."""
        try:
            if unstamped := stamp_run(self.folder.path, self.target.evidence, self.target.proxy):
                tell(unstamped, self.target.language, sys.stderr)
            self.folder.publish()
            if self.junit is not None:
                self.junit.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.junit, junit)
            for said in self.notifier.notify(content):
                tell(self.redactor.text(said), self.target.language, sys.stderr)
        except (EvidenceError, OSError) as error:
            sys.stderr.write(self.redactor.text(f"opsverify: {error}; the verdict in {self.folder.path} stands\n"))

    def _content(self, verdict: Verdict, code: int) -> dict[str, Any]:
        notes = [as_message(note) for note in self.notes]
        return {
            "schema": "opsverify.verdict/1",
            "run_id": self.folder.run_id,
            "stage": self.stage.name,
            "target": self.target.name,
            "environment": self.target.environment,
            "language": self.target.language,
            "outcome": verdict.outcome.value,
            "decision": verdict.decision.value,
            "reasons": [reason.en for reason in verdict.reasons],
            "reasons_ko": [reason.ko for reason in verdict.reasons],
            "causes": [cause.to_dict() for cause in verdict.causes],
            "notes": [note.en for note in notes],
            "notes_ko": [note.ko for note in notes],
            **(pair("coverage", self.coverage) if self.coverage else {"coverage": None}),
            "left_out": left_out(self.plan).to_dict(),
            "started_at": timestamp(self.started),
            "finished_at": timestamp(dt.datetime.now(dt.UTC)),
            "planned": len(verdict.plan.checks),
            "executed": verdict.executed,
            "exit_code": code,
            "checks": verdict.check_entries(),
            "attestations": asdict(self.attestations.head),
            "actions": [
                {
                    "step": self.command(verdict, step),
                    "argv": list(step.run),
                    "runbook": step.runbook,
                    "executed": False,
                }
                for step in verdict.actions(self.target)
            ],
            **self.binding,
            "release": verified_release(self.binding.get("release", {}), self.folder.path),
        }

    def command(self, verdict: Verdict, step: ActionStep) -> str:
        """A step as a shell command, as far as the verdict fills its placeholders."""
        facts = {"run_id": self.folder.run_id, "stage": self.stage.name, "decision": verdict.decision.value}
        return shlex.join(filled(step.run, facts | {"target": self.target.name}))

    @property
    def coverage(self) -> str | None:
        """How the tables of a restored database were compared, in one line; None where none was."""
        result = self.results.get(COVERED)
        if result is None:
            return None
        return result.coverage or result.message

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks that a reader of the verdict needs."""
        waivers = waiver_notes(self.as_written, self.plan, self.judge().results, self.started.date())
        remarks = (*self.remarks, *left_out(self.plan).texts, *waivers)
        short = short_window(self.window_s, self.target)
        return (short, *remarks) if short else remarks
