"""Live run: what a person sees of a run that goes on, and of its end; in one language."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.canary.observation import NAME
from opsverify.core.decision_words import capitals
from opsverify.errors import EvidenceError
from opsverify.evidence.files import sha256_of
from opsverify.evidence.manifest import MANIFEST, sums_in
from opsverify.evidence.once_read import read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.message import in_language, say
from opsverify.report.dates import date_time
from opsverify.report.gate_plot import drawn
from opsverify.report.template import fill, markup
from opsverify.serve.gate_run import RunState
from opsverify.serve.live_checks import LiveChecks
from opsverify.serve.live_window import LiveWindow
from opsverify.units import elapsed

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.canary.trace import WindowTrace
    from opsverify.language.message import Message
    from opsverify.serve.gate import PipelineGate
    from opsverify.serve.gate_run import GateRun
    from opsverify.serve.live_checks import CheckCounts

MOST_KEPT: Final = 8
"""Runs of which is kept what was read: each may hold the samples of a whole window."""
MOST_NAMED: Final = 10
_STATES: Final = {RunState.QUEUED: say("waits for its turn"), RunState.RUNNING: say("under way")}
_KINDS: Final = {"promote": "accept", "accept": "accept", "rollback": "reject", "reject": "reject"}


@dataclass
class _Known:
    """What was read of one run, by one thread at a time."""

    window: LiveWindow
    checks: LiveChecks
    lock: threading.Lock = field(default_factory=threading.Lock)


class LiveRuns:
    """The runs that people look at."""

    def __init__(self, gate: PipelineGate) -> None:
        self._gate = gate
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def html(self, run: GateRun, language: str) -> str:
        """The run as it is now, as HTML in `ko` or `en`, to be put into the page."""
        folder = self._gate.settings.folder_of(run.id)
        known = self._of(run.id, folder)
        # The plot is of values that the next look changes: it is drawn before another thread may look.
        with known.lock:
            counts = known.checks.counts()
            window = known.window.trace() if run.state is not RunState.FINISHED or _is_sealed(run, folder) else None
            picture = markup(drawn(window, language)) if window is not None and window.criteria else None
            watched = _watched(window) if window is not None and run.state is not RunState.FINISHED else None
        return fill("live_run.html.j2", picture=picture, **_texts(self._gate, run, counts, watched, language))

    def _of(self, run_id: str, folder: Path) -> _Known:
        with self._lock:
            known = self._known.pop(run_id, None) or _Known(LiveWindow(folder), LiveChecks(folder))
            self._known[run_id] = known
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            return known


def _texts(
    gate: PipelineGate, run: GateRun, counts: CheckCounts | None, watched: Message | None, language: str
) -> dict[str, object]:
    """The values of the template."""

    def shown(text: str) -> str:
        return in_language(text, language)

    reasons = run.conclusion.reasons if run.conclusion else ()
    return {
        "kind": _KINDS.get(run.decision.value, "hold") if run.decision else "open",
        "state": shown(capitals(run.decision.value) if run.decision else _STATES[run.state]),
        "title": shown(say("{stage} on {target}", stage=run.request.stage, target=run.request.target)),
        "facts": [shown(text) for text in _facts(run)],
        "answer": shown(gate.reason(run)[1]),
        "counts": counts,
        "progress": [shown(text) for text in _progress(counts, watched)],
        "red": [
            (kind, shown(heading), [shown(title) for title in titles[:MOST_NAMED]], len(titles) - MOST_NAMED)
            for kind, heading, titles in (
                ("fail", say("Outside their limits"), counts.failed if counts else ()),
                ("inconclusive", say("Could not be measured"), counts.unmeasured if counts else ()),
            )
            if titles and run.conclusion is None  # then the reasons name them
        ],
        "reasons": [shown(reason) for reason in reasons],
        "words": {
            "reasons": shown(say("Reasons")),
            "evidence": shown(say("evidence (.tar.zst)")),
            "verdict": VERDICT,
        },
        "id": run.id,
        "has_evidence": run.conclusion is not None and run.conclusion.verdict_sha256 is not None,
    }


def _facts(run: GateRun) -> list[str]:
    release = run.request.release
    return [
        run.id,
        *([f"{release.namespace}/{release.name} {release.checksum}"] if release else []),
        say("by {who}", who=run.started_by),
        *([say("from {at}", at=date_time(run.begun_at.isoformat()))] if run.begun_at else []),
        *([say("to {at}", at=date_time(run.finished_at.isoformat()))] if run.finished_at else []),
    ]


def _progress(counts: CheckCounts | None, watched: Message | None) -> list[str]:
    found: list[str] = []
    if counts is not None:
        found.append(say("{done} of {planned} checks", done=counts.done, planned=counts.planned))
        if counts.failed:
            found.append(say("{count} failed", count=len(counts.failed)))
        if counts.unmeasured:
            found.append(say("{count} not measured", count=len(counts.unmeasured)))
    return [*found, *([watched] if watched is not None else [])]


def _watched(window: WindowTrace) -> Message:
    longest = window.watch.setup.policy.longest_s
    return say(
        "window: {observed} of at most {longest} observed",
        observed=elapsed(window.watch.elapsed_s),
        longest=elapsed(longest),
    )


def _is_sealed(run: GateRun, folder: Path) -> bool:
    """Whether the observation of a run that has ended is the one that its verdict was sealed with."""
    try:
        verdict, manifest = read_once(folder / VERDICT), read_once(folder / MANIFEST)
        return (
            run.conclusion is not None
            and hashlib.sha256(verdict).hexdigest() == run.conclusion.verdict_sha256
            and hashlib.sha256(manifest).hexdigest() == json.loads(verdict)["evidence"]["manifest_sha256"]
            and sums_in(manifest).get(NAME) == sha256_of(folder / NAME)
        )
    except (OSError, EvidenceError, ValueError, LookupError, TypeError):
        return False
