"""State of a target outside of its runs' folders: which runs were begun, what they decided, which were carried out.

`reports/.state/<target>/runs.jsonl` is one chain of lines for all runs of the target, wherever their folders lie. A
run's plan and verdict name the line that was the last one when it began, and its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.chain import GENESIS, Chain, append, parse
from opsverify.evidence.files import write_atomic
from opsverify.evidence.once_read import json_in
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE: Final = ".state"
AGAIN: Final = say("one of them was altered: verify again")
BEGUN, FINISHED, USED, PRUNED = "begun", "finished", "used", "pruned"


@dataclass(frozen=True)
class TargetState:
    """The state of one target, below the reports folder of the project."""

    folder: Path

    @classmethod
    def of(cls, reports: Path, target: str) -> TargetState:
        """The state of `target`."""
        return cls(reports / STATE / target)

    @property
    def runs(self) -> Path:
        """The chain of the target's runs."""
        return self.folder / "runs.jsonl"

    @property
    def unfinished(self) -> Path:
        """Names the rollout that was begun and has not ended."""
        return self.folder / "rollout.json"

    @property
    def notifications(self) -> Path:
        """The folder of what receivers were told, and have not got yet."""
        return self.folder / "notify"

    @property
    def history(self) -> Path:
        """Snapshots that later runs compare with."""
        return self.folder / "history.sqlite"

    def begin(self, run_id: str, stage: str, run_folder: Path) -> dict[str, str]:
        """Record that a run begins; what its plan and verdict say of the chain. Raises TargetError."""
        try:
            line = self._append(event=BEGUN, run_id=run_id, stage=stage, folder=str(run_folder.resolve()))
        except (OSError, EvidenceError) as error:
            raise TargetError(
                say("{runs}: cannot be written, this run is not recorded ({error}); make {reports} writable, whatever "
                    "--report-dir is; where the file is damaged, see docs/verdict.md",
                    runs=self.runs, error=error, reports=self.folder.parent.parent)
            ) from error  # fmt: skip
        return line

    def finish(self, run_id: str, stage: str, decision: str, verdict_sha256: str) -> None:
        """Record what a run decided. Raises EvidenceError."""
        self._record(event=FINISHED, run_id=run_id, stage=stage, decision=decision, verdict_sha256=verdict_sha256)

    def use(self, run_id: str, stage: str, decision: str) -> None:
        """Record that a run's verdict is carried out, before its first step. Raises EvidenceError."""
        self._record(event=USED, run_id=run_id, stage=stage, decision=decision)

    def prune(self, run_id: str, stage: str) -> None:
        """Record that a run's folder is removed, before it is. Raises EvidenceError."""
        self._record(event=PRUNED, run_id=run_id, stage=stage)

    def read(self) -> Chain:
        """The whole chain. Raises EvidenceError where it is damaged, or shorter than it was."""
        try:
            chain = parse(self.runs.read_bytes())
            known = json_in((self.folder / "head.json").read_bytes(), "head.json")
        except FileNotFoundError:
            return Chain(())
        except (OSError, EvidenceError) as error:
            raise EvidenceError(say("{runs}: cannot be read ({error})", runs=self.runs, error=error)) from error
        if chain.fault:
            raise EvidenceError(say("{runs}, {fault}", runs=self.runs, fault=chain.fault))
        if len(chain.lines) < known["lines"]:
            raise EvidenceError(
                say(
                    "{runs}: {lines} of its last lines were removed",
                    runs=self.runs,
                    lines=known["lines"] - len(chain.lines),
                )
            )
        return chain

    def lock(self) -> FileLock:
        """Hold this while steps change the target. Raises TargetError where another process holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "steps.lock", timeout=0)
            lock.acquire()
        except Timeout as error:
            raise TargetError(
                say(
                    "target {name}: another rollout or act is changing it now ({folder}); wait for its end",
                    name=self.folder.name,
                    folder=self.folder / "steps.lock",
                )
            ) from error
        except OSError as error:
            raise TargetError(
                say("{folder}: cannot be written ({error})", folder=self.folder, error=error.strerror)
            ) from error
        return lock

    def _record(self, **content: str) -> None:
        try:
            self._append(**content)
        except OSError as error:
            raise EvidenceError(
                say("{runs}: cannot be written ({error}); free the folder", runs=self.runs, error=error.strerror)
            ) from error

    def _append(self, **content: str) -> dict[str, str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        before: list[str] = [GENESIS]
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = append(self.runs, {**content, "at": at}, lambda chain: before.append(chain.head))
        with FileLock(self.folder / "head.lock"):
            count = max(line.number, _count(self.folder / "head.json"))
            write_atomic(self.folder / "head.json", json.dumps({"lines": count}))
        return {"previous": before[-1], "entry": line.digest}


def fault_of(
    state: TargetState, verdict: Mapping[str, Any], verdict_sha256: str, run_folder: Path, *, latest: bool
) -> str | None:
    """Why the state forbids to carry a verdict out; None where it does not.

    `latest`: the run was not named, but asked for as the newest one. Raises EvidenceError for a damaged state.
    """
    if fault := unlike_record(state, verdict, verdict_sha256, run_folder):
        return fault
    run_id = verdict["run_id"]
    entries = [line.content for line in state.read().lines]
    place = next(n for n, e in enumerate(entries) if e.get("event") == BEGUN and e["run_id"] == run_id)
    used = next((e for e in entries if e.get("event") == USED and e["run_id"] == run_id), None)
    if used is not None:
        return say("carried out before, begun {at}; steps are not run twice: verify again", at=used["at"])
    return _later(entries[place + 1 :], latest=latest, decision=verdict["decision"], stage=verdict["stage"])


def unlike_record(state: TargetState, verdict: Mapping[str, Any], verdict_sha256: str, run_folder: Path) -> str | None:
    """How a verdict differs from what the state recorded of its run; None where it does not.

    Raises EvidenceError for a damaged state.
    """
    run_id, chain = verdict["run_id"], state.read()
    entries = [line.content for line in chain.lines]
    place = next(
        (n for n, e in enumerate(entries) if e.get("event") == BEGUN and e["run_id"] == run_id),
        None,
    )
    if place is None:
        return say("not begun in this project's {runs}; act in the project where it was verified", runs=state.runs)
    named = verdict.get("chain") or {}
    if (named.get("entry"), named.get("previous")) != (chain.lines[place].digest, entries[place]["previous"]):
        return say("its place in the chain of runs is not the one in {runs}; one of them was altered", runs=state.runs)
    if Path(entries[place]["folder"]) != run_folder.resolve():
        return say("copied or moved: it was verified in {folder}; act on that folder", folder=entries[place]["folder"])
    return _unlike_end(entries, verdict, verdict_sha256, state.runs)


def _unlike_end(
    entries: list[dict[str, Any]], verdict: Mapping[str, Any], verdict_sha256: str, runs: Path
) -> str | None:
    """How a verdict differs from the recorded end of its run."""
    ended = next((e for e in entries if e.get("event") == FINISHED and e["run_id"] == verdict["run_id"]), None)
    if ended is None:
        return say(
            "begun, but {runs} holds no decision of it (killed before its end, or never sealed); verify again",
            runs=runs,
        )
    if ended.get("decision") != verdict["decision"]:
        return say(
            "decided {decided} when it ended, but its verdict.json says {decision}; {again}",
            decided=ended.get("decision"),
            decision=verdict["decision"],
            again=AGAIN,
        )
    if ended.get("verdict_sha256") != verdict_sha256:
        return say(
            "its verdict.json is not the one that was sealed (SHA-256 differs from {runs}); {again}",
            runs=runs,
            again=AGAIN,
        )
    return None


def altered_since(reports: Path, run_folder: Path, verdict: bytes, target: str = "*") -> str | None:
    """How a run differs from what any target's state in `reports` recorded; None where it does not or none knows it.

    With `target` only that one's state is read.
    """
    try:
        run_id = json_in(verdict, "verdict.json").get("run_id")
    except (EvidenceError, AttributeError):
        return None  # its own problem, named elsewhere
    folder = str(run_folder.resolve())
    for path in sorted((reports / STATE).glob(f"{target}/runs.jsonl")):
        state = TargetState(path.parent)
        entries = [line.content for line in parse(path.read_bytes()).lines]
        here = [e.get("run_id") for e in entries if e.get("event") == BEGUN and e.get("folder") == folder]
        known = any(e.get("event") == BEGUN and e.get("run_id") == run_id for e in entries)
        if not (here or known):
            continue
        if not known:
            return say(
                "names run {run_id}, but {runs} holds {here} for this folder",
                run_id=run_id,
                runs=state.runs,
                here=here[-1],
            )
        ended = next((e for e in entries if e.get("event") == FINISHED and e.get("run_id") == run_id), {})
        if ended.get("verdict_sha256") != hashlib.sha256(verdict).hexdigest():
            said = say("decided {decision}", decision=ended.get("decision")) if ended else say("no decision")
            return say("not the verdict that was sealed; {runs} holds another sum ({said})", runs=state.runs, said=said)
    return None


def decided_below(state: TargetState, folder: Path) -> tuple[set[str], set[str]]:
    """What runs in folders below `folder` decided, and which decisions of those or of `folder` itself were carried out.

    Raises EvidenceError for a damaged state.
    """
    entries = [line.content for line in state.read().lines]
    below = folder.resolve()
    runs = {e["run_id"] for e in entries if e.get("event") == BEGUN and Path(e["folder"]).is_relative_to(below)}
    decided = {e["decision"] for e in entries if e.get("event") == FINISHED and e["run_id"] in runs}
    used = {e["decision"] for e in entries if e.get("event") == USED and e["run_id"] in runs | {folder.name}}
    return decided, used


def _later(entries: list[dict[str, Any]], *, latest: bool, decision: str, stage: str) -> str | None:
    """Why a run that was begun later forbids it."""
    decided = {e["run_id"]: e["decision"] for e in entries if e.get("event") == FINISHED}
    for entry in reversed(entries):
        kind = entry.get("event")
        if kind == USED and entry["decision"] == "rollback" and decision == "promote":
            return say(
                "a newer run, {run_id}, rolled back at {at}; verify again", run_id=entry["run_id"], at=entry["at"]
            )
        if kind != BEGUN:
            continue
        known = decided.get(entry["run_id"])
        related = entry["stage"] == stage or known == "rollback"
        if latest and related:
            said = (
                say("decided {decision}", decision=known)
                if known
                else say("was ended before its verdict, or still runs")
            )
            return say(
                "not the newest: {run_id} was begun later and {said}; verify again", run_id=entry["run_id"], said=said
            )
        if decision == "promote" and related and known != "promote":
            return (
                say("later run {run_id} decided {decision}; act on that run", run_id=entry["run_id"], decision=known)
                if known
                else (
                    say(
                        "later run {run_id} was begun and has no verdict (killed, or still running); verify again",
                        run_id=entry["run_id"],
                    )
                )
            )
    return None


def _count(path: Path) -> int:
    try:
        return int(json_in(path.read_bytes(), path.name)["lines"])
    except (OSError, EvidenceError, ValueError, KeyError, TypeError):
        return 0
