"""Metrics of the server, in Prometheus' text format: verdicts, durations, queue, ages of the last verdicts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from opsverify.config.load import load_target, target_files
from opsverify.core.stages import STAGES, Decision
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.target_state import FINISHED, TargetState
from opsverify.serve.gate_run import RunState
from opsverify.serve.run_totals import BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from opsverify.serve.gate import PipelineGate

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REHEARSAL: Final = "rehearsal"
NEVER: Final = float("inf")
HELP: Final[Mapping[str, str]] = {
    "opsverify_runs_total": "Runs of this server that have ended, by stage, target and decision.",
    "opsverify_run_duration_seconds": "Time from the start to the end of a run of this server.",
    "opsverify_queue_length": "Runs that wait.",
    "opsverify_queue_limit": "Runs that may wait.",
    "opsverify_runs_running": "Runs under way.",
    "opsverify_holds_waiting": "Holds on a release that nobody approved or retired.",
    "opsverify_last_verdict_age_seconds": (
        "Age of the last verdict of a stage on a target, whoever ran it; +Inf for a rehearsal that never ended."
    ),
    "opsverify_last_accepted_age_seconds": (
        "Age of the last verdict that accepted or promoted, whoever ran it; +Inf for a stage that never did."
    ),
    "opsverify_target_readable": "0 for a target whose file or record of runs cannot be read.",
}


class GateMetrics(Collector):
    """Metrics of a gate, made anew for every scrape: nothing is counted but by what the store keeps."""

    def __init__(self, gate: PipelineGate) -> None:
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from self._totals()
        yield from self._now()
        yield from self._targets()

    def _totals(self) -> Iterator[Metric]:
        totals = self._gate.store.totals()
        name = "opsverify_runs_total"
        ended = CounterMetricFamily(name, HELP[name], labels=["stage", "target", "decision"])
        for labels, runs in totals.ended.items():
            ended.add_metric(labels, runs)
        yield ended
        name = "opsverify_run_duration_seconds"
        durations = HistogramMetricFamily(name, HELP[name], labels=["stage", "target"])
        for place, total in totals.durations.items():
            buckets = [(str(bound), total.within(bound)) for bound in BUCKETS_S]
            durations.add_metric(place, [*buckets, ("+Inf", total.within(NEVER))], total.seconds)
        yield durations

    def _now(self) -> Iterator[Metric]:
        store = self._gate.store
        releasing = [name for name, stage in STAGES.items() if stage.releases]
        for name, value in (
            ("opsverify_queue_length", store.count(RunState.QUEUED)),
            ("opsverify_queue_limit", self._gate.most_waiting),
            ("opsverify_runs_running", store.count(RunState.RUNNING)),
            ("opsverify_holds_waiting", store.open_holds(releasing)),
        ):
            yield GaugeMetricFamily(name, HELP[name], value=value)

    def _targets(self) -> Iterator[Metric]:
        """What the record of each target says of its stages; rehearsals always: one that never was is seen."""
        root, now = self._gate.settings.root, self._gate.clock()
        readable, verdict, accepted = (
            GaugeMetricFamily(name, HELP[name], labels=labels)
            for name, labels in (
                ("opsverify_target_readable", ["target"]),
                ("opsverify_last_verdict_age_seconds", ["stage", "target"]),
                ("opsverify_last_accepted_age_seconds", ["stage", "target"]),
            )
        )
        for path in target_files(root / "targets"):
            name, ages, is_readable = path.stem, {REHEARSAL: (NEVER, NEVER)}, True
            try:
                name = load_target(path, with_secrets=False)[0].name
                ages |= _ages(TargetState.of(root / "reports", name), now)
            except (TargetError, EvidenceError):
                is_readable = False
            readable.add_metric([name], is_readable)
            for stage, (of_verdict, of_accepted) in sorted(ages.items()):
                verdict.add_metric([stage, name], of_verdict)
                accepted.add_metric([stage, name], of_accepted)
        yield from (readable, verdict, accepted)


def exposition(gate: PipelineGate) -> bytes:
    """Every metric, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(GateMetrics(gate))
    return generate_latest(registry)


def _ages(state: TargetState, now: dt.datetime) -> dict[str, tuple[float, float]]:
    """Ages of the last verdict and of the last that accepted, by stage."""
    found: dict[str, tuple[float, float]] = {}
    for entry in (line.content for line in state.read().lines):
        if entry.get("event") != FINISHED or not entry.get("stage"):
            continue
        age = float(round((now - dt.datetime.fromisoformat(entry["at"])).total_seconds()))
        accepted = entry.get("decision") in (Decision.PROMOTE, Decision.ACCEPT)
        found[entry["stage"]] = (age, age if accepted else found.get(entry["stage"], (NEVER, NEVER))[1])
    return found
