"""Metrics of the server, in Prometheus' text format: verdicts, durations, queue, ages of the last verdicts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Final

from opsverify.config.load import load_target, target_files
from opsverify.core.stages import Decision
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.target_state import FINISHED, TargetState
from opsverify.serve.gate_run import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.serve.gate import PipelineGate

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600)
REHEARSAL: Final = "rehearsal"
NEVER: Final = "+Inf"
HELP: Final[Mapping[str, tuple[str, str]]] = {
    "opsverify_runs_total": ("counter", "Runs of this server that have ended, by stage, target and decision."),
    "opsverify_run_duration_seconds": ("histogram", "Time from the start to the end of a run of this server."),
    "opsverify_queue_length": ("gauge", "Runs that wait."),
    "opsverify_queue_limit": ("gauge", "Runs that may wait."),
    "opsverify_runs_running": ("gauge", "Runs under way."),
    "opsverify_holds_waiting": ("gauge", "Holds on a release that nobody approved or retired."),
    "opsverify_last_verdict_age_seconds": (
        "gauge",
        "Age of the last verdict of a stage on a target, whoever ran it; +Inf for a rehearsal that never ended.",
    ),
    "opsverify_last_accepted_age_seconds": (
        "gauge",
        "Age of the last verdict that accepted or promoted, whoever ran it; +Inf for a stage that never did.",
    ),
    "opsverify_target_readable": ("gauge", "0 for a target whose file or record of runs cannot be read."),
}


def exposition(gate: PipelineGate) -> str:
    """Every metric."""
    lines: dict[str, list[str]] = {name: [] for name in HELP}
    _own_runs(gate, lines)
    now = gate.clock()
    for path in target_files(gate.settings.root / "targets"):
        _target(path, gate.settings.root / "reports", now, lines)
    text = []
    for name, (kind, meaning) in HELP.items():
        text += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *lines[name]]
    return "\n".join([*text, ""])


def _own_runs(gate: PipelineGate, lines: dict[str, list[str]]) -> None:
    finished = gate.store.finished()
    for (stage, target, decision), count in sorted(Counter(each[:3] for each in finished).items()):
        lines["opsverify_runs_total"].append(
            f"opsverify_runs_total{_labels(stage=stage, target=target, decision=decision)} {count}"
        )
    for stage, target in sorted({each[:2] for each in finished}):
        times = [each[3] for each in finished if each[:2] == (stage, target)]
        lines["opsverify_run_duration_seconds"] += _histogram(stage, target, times)
    queued = gate.store.in_state(RunState.QUEUED)
    holds = [run for run in gate.store.in_state(RunState.FINISHED) if run.may_be_approved and not run.approval]
    for name, value in (
        ("opsverify_queue_length", len(queued)),
        ("opsverify_queue_limit", gate.most_waiting),
        ("opsverify_runs_running", len(gate.store.in_state(RunState.RUNNING))),
        ("opsverify_holds_waiting", len(holds)),
    ):
        lines[name].append(f"{name} {value}")


def _histogram(stage: str, target: str, times: list[float]) -> Iterator[str]:
    name = "opsverify_run_duration_seconds"
    for bound in BUCKETS_S:
        count = sum(time <= bound for time in times)
        yield f"{name}_bucket{_labels(stage=stage, target=target, le=str(bound))} {count}"
    yield f"{name}_bucket{_labels(stage=stage, target=target, le='+Inf')} {len(times)}"
    yield f"{name}_sum{_labels(stage=stage, target=target)} {sum(times):.3f}"
    yield f"{name}_count{_labels(stage=stage, target=target)} {len(times)}"


def _target(path: Path, reports: Path, now: dt.datetime, lines: dict[str, list[str]]) -> None:
    """What the record of a target says of its stages; rehearsals always, so that one that never was is seen."""
    name, ages = path.stem, {REHEARSAL: (NEVER, NEVER)}
    readable = True
    try:
        name = load_target(path, with_secrets=False)[0].name
        ages |= _ages(TargetState.of(reports, name), now)
    except (TargetError, EvidenceError):
        readable = False
    lines["opsverify_target_readable"].append(f"opsverify_target_readable{_labels(target=name)} {int(readable)}")
    for stage, (verdict, accepted) in sorted(ages.items()):
        labels = _labels(stage=stage, target=name)
        lines["opsverify_last_verdict_age_seconds"].append(f"opsverify_last_verdict_age_seconds{labels} {verdict}")
        lines["opsverify_last_accepted_age_seconds"].append(f"opsverify_last_accepted_age_seconds{labels} {accepted}")


def _ages(state: TargetState, now: dt.datetime) -> dict[str, tuple[str, str]]:
    """Ages of the last verdict and of the last that accepted, by stage."""
    found: dict[str, tuple[str, str]] = {}
    for entry in (line.content for line in state.read().lines):
        if entry.get("event") != FINISHED or not entry.get("stage"):
            continue
        age = f"{(now - dt.datetime.fromisoformat(entry['at'])).total_seconds():.0f}"
        accepted = entry.get("decision") in (Decision.PROMOTE, Decision.ACCEPT)
        found[entry["stage"]] = (age, age if accepted else found.get(entry["stage"], (NEVER, NEVER))[1])
    return found


def _labels(**labels: str) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
