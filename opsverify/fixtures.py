"""What checks ask for: the check itself, and probes bound to the target and to the check's evidence.

Connections are shared by a session; what a probe sees goes to the check that asked.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.connections import Connections, given
from opsverify.errors import Inconclusive
from opsverify.running import running_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opsverify.canary.criterion import Criterion
    from opsverify.canary.watch import GateWatch
    from opsverify.canary.window import CanaryWindow
    from opsverify.core.check import Check
    from opsverify.metrics.after_rollback import AfterRollback
    from opsverify.metrics.lookback import Recent
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.mcp import Mcp
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.redis import Redis
    from opsverify.probes.services import Services
    from opsverify.recovery.backup.inventory import Inventory
    from opsverify.recovery.drill.platform import Business
    from opsverify.recovery.drill.run import Drill
    from opsverify.recovery.rpo.measure import Testimony
    from opsverify.recovery.verify.questions import CameBack
    from opsverify.recovery.verify.recorded import Recovered
    from opsverify.run import StageRun
    from opsverify.smoke.runner import Traveller
    from opsverify.switchback.regions import TwoRegions
    from opsverify.switchback.report import SwitchbackReport

_NO_ROWS = SimpleNamespace(params={})
"""What a test without parameters has for a callspec."""


@pytest.fixture(scope="session")
def stage_run(request: pytest.FixtureRequest) -> StageRun:
    """The run that the checks belong to."""
    plugin: Any = request.config.pluginmanager.get_plugin("opsverify-stage")
    run: StageRun = plugin.run
    return run


@pytest.fixture(scope="session")
def connections(stage_run: StageRun) -> Iterator[Connections]:
    """Probes of this process, opened when first asked for, closed at the end."""
    with Connections(stage_run) as opened:
        yield opened


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Check:
    """The running check."""
    return running_check(request.node)


@pytest.fixture
def services(check: Check, connections: Connections) -> Services:
    """The target's HTTP services, by name."""
    from opsverify.probes.services import Services  # noqa: PLC0415 - probes are imported when used

    return Services(check.target, connections.run.secrets, connections.http, check.attach)


@pytest.fixture
def postgres(check: Check, connections: Connections) -> Postgres:
    """The platform's database, read-only."""
    return connections.postgres.recording(check.attach)


@pytest.fixture
def redis(check: Check, connections: Connections) -> Redis:
    """The judgment cache."""
    return connections.redis.recording(check.attach)


@pytest.fixture
def prometheus(check: Check, connections: Connections) -> Prometheus:
    """Metrics."""
    return connections.prometheus.recording(check.attach)


@pytest.fixture
def recent(prometheus: Prometheus, stage_run: StageRun) -> Recent:
    """Counters over the target's look-back."""
    from opsverify.metrics.lookback import Recent  # noqa: PLC0415

    return Recent(prometheus, given(stage_run.target.prometheus))


@pytest.fixture
def alertmanager(check: Check, connections: Connections) -> Alertmanager:
    """Alerts that fire, and where they go."""
    return connections.alertmanager(check)


@pytest.fixture
def mcp(check: Check, connections: Connections) -> Callable[[str], Mcp]:
    """An MCP server of the target, by name."""
    return partial(connections.mcp, check)


@pytest.fixture(scope="session")
def gate_watch(request: pytest.FixtureRequest, stage_run: StageRun, connections: Connections) -> GateWatch:
    """The one observation of the window that all canary checks share, whatever the number of workers."""
    from opsverify.canary.observation import NAME, read_observation  # noqa: PLC0415
    from opsverify.canary.watch import GateWatch  # noqa: PLC0415
    from opsverify.canary.window import setup_of  # noqa: PLC0415 - probes are imported when used
    from opsverify.shared import once  # noqa: PLC0415

    setup = setup_of(stage_run.target, given(stage_run.window_s), _criteria(request.session.items))
    kept = once(stage_run.folder.path, NAME, lambda keep: connections.observe(setup, keep))
    return GateWatch.replayed(*read_observation(kept))


@pytest.fixture
def canary(check: Check, gate_watch: GateWatch) -> CanaryWindow:
    """The watched window, for one check."""
    from opsverify.canary.observation import NAME  # noqa: PLC0415
    from opsverify.canary.window import CanaryWindow  # noqa: PLC0415

    check.attach("observation", f"{NAME} in the run's folder: {gate_watch.steps} looks; {gate_watch.in_words}")
    return CanaryWindow(gate_watch, check.limits)


@pytest.fixture
def after_rollback(check: Check, stage_run: StageRun, prometheus: Prometheus) -> AfterRollback:
    """The one look at the remaining service that all checks of a rollback share."""
    from opsverify.metrics.after_rollback import AfterRollback, look  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    kept = once(stage_run.folder.path, "after_rollback.json", partial(look, prometheus, check.target, stage_run.say))
    return AfterRollback.read_from(kept, check.target)


@pytest.fixture
def regions(check: Check, connections: Connections, stage_run: StageRun) -> TwoRegions:
    """The original region and the one that stands in for it. Inconclusive where the target is silent on them."""
    from opsverify.switchback.regions import TwoRegions, described  # noqa: PLC0415

    config = described(check.target)
    return TwoRegions(
        config,
        stage_run.stage.name,
        stage_run.folder.run_id,
        stage_run.started,
        connections.region("original").recording(check.attach),
        connections.region("dr").recording(check.attach),
        connections.http.recording(check.attach),
        check.attach,
    )


@pytest.fixture
def way_back_report(check: Check, regions: TwoRegions, request: pytest.FixtureRequest) -> SwitchbackReport:
    """The report of the latest switch, which is to be the way back. Inconclusive where there is none."""
    from opsverify.run import REPORTS  # noqa: PLC0415
    from opsverify.switchback.report import switchback_report  # noqa: PLC0415

    since = regions.switched_at.replace(microsecond=0)  # people write whole seconds
    return switchback_report(check.target, request.config.rootpath / REPORTS, since)


@pytest.fixture
def traveller(
    check: Check, services: Services, connections: Connections, request: pytest.FixtureRequest
) -> Iterator[Traveller]:
    """Takes a journey's steps; afterwards whatever they wrote is removed, also when they failed."""
    from opsverify.metrics.lookback import Recent  # noqa: PLC0415
    from opsverify.smoke.runner import Traveller, remove_traces, require_permission  # noqa: PLC0415

    journey = request.node.callspec.params["journey"]
    require_permission(check.target, journey)
    prometheus = partial(_recorded, connections, "prometheus", check)
    traveller = Traveller(
        check,
        services,
        postgres=partial(_recorded, connections, "postgres", check),
        prometheus=prometheus,
        recent=lambda: Recent(prometheus(), given(check.target.prometheus)),
        alertmanager=partial(connections.alertmanager, check),
        inbox=partial(connections.inbox, check),
        mcp=partial(connections.mcp, check),
    )
    traveller.note_signals(journey.steps)
    yield traveller
    try:
        traveller.end_alerts()
    finally:
        if journey.writes:
            remove_traces(check, connections.run.secrets, traveller.tag, settled=traveller.settled)


@pytest.fixture(scope="session")
def queries(request: pytest.FixtureRequest) -> dict[str, str]:
    """The runbook's validation SQL, by table."""
    from opsverify.recovery.ledger.queries import read_queries  # noqa: PLC0415

    return read_queries(request.config.rootpath / "dr_validation" / "sql")


@pytest.fixture(scope="session")
def inventory(stage_run: StageRun) -> Inventory:
    """Which backups there are, of when; looked up once for all checks."""
    from opsverify.recovery.backup.inventory import Inventory, take_inventory  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    take = partial(take_inventory, given(stage_run.target.recovery))
    return Inventory.read_from(once(stage_run.folder.path, "backups.json", take))


@pytest.fixture(scope="session")
def drill(stage_run: StageRun, queries: dict[str, str], connections: Connections) -> Drill:
    """The one restore drill that all checks of a rehearsal share."""
    from opsverify.recovery.drill.run import Drill, run_drill  # noqa: PLC0415
    from opsverify.recovery.verify.questions import history_if_any  # noqa: PLC0415
    from opsverify.recovery.verify.recorded import recorded_if_any  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    target = stage_run.target
    recorded = recorded_if_any(target)
    work = partial(run_drill, given(target.recovery), given(target.postgres).dbname, recorded, queries)
    history, live = history_if_any(target), connections.original
    return Drill.read_from(
        once(
            stage_run.folder.path,
            "drill.json",
            lambda keep: work(keep, stage_run.say, stage_run.folder.path, history=history, live=live),
        )
    )


@pytest.fixture
def business(drill: Drill) -> Business:
    """The platform that was started on the restored database: its cache, and its smoke."""
    from opsverify.recovery.drill.platform import Business  # noqa: PLC0415

    return Business.of(drill)


@pytest.fixture
def testimony(request: pytest.FixtureRequest, stage_run: StageRun) -> Testimony:
    """What the witnesses say of a recovery: of the rehearsal's, or of the target's own."""
    from opsverify.recovery.rpo.measure import NAME, Testimony, of_target  # noqa: PLC0415

    if stage_run.stage.name != "rehearsal":
        said = of_target(stage_run.target, request.getfixturevalue("postgres"))
        stage_run.folder.write_json(NAME, said.to_wire(), stage_run.redactor)
        return said
    drill = request.getfixturevalue("drill")
    if drill.testimony is None:
        raise Inconclusive(drill.why_not)
    return Testimony.from_wire(drill.testimony)


@pytest.fixture(scope="session")
def recovered(request: pytest.FixtureRequest, stage_run: StageRun, connections: Connections) -> Recovered:
    """What came back (in the target's database, or in the rehearsal's) beside what the ledger recorded before."""
    from opsverify.recovery.verify.recorded import Recovered, recorded_before, recovery_target  # noqa: PLC0415

    recorded = recorded_before(stage_run.target)
    queries = request.getfixturevalue("queries")
    if stage_run.stage.name == "rehearsal":
        drill = request.getfixturevalue("drill")
        if drill.facts is None:
            raise Inconclusive(drill.why_not)
        found = drill.facts
    else:
        found = recorded.ask_again(lambda sql, values: connections.postgres.rows(sql, **values), queries)
    return Recovered(recorded, found, queries, recovery_target(stage_run.target))


@pytest.fixture(scope="session")
def came_back(request: pytest.FixtureRequest, stage_run: StageRun, connections: Connections) -> CameBack:
    """Answers to whether data, catalog and storage came back: asked of the target, or kept by the rehearsal's drill."""
    from opsverify.recovery.verify.finding import Finding, found  # noqa: PLC0415
    from opsverify.recovery.verify.questions import CameBack, Questions, history_before, keep_answer, kept, sampling_of  # noqa: PLC0415

    if stage_run.stage.name == "rehearsal":
        drill = request.getfixturevalue("drill")
        if drill.answers is None:
            raise Inconclusive(drill.why_not)
        return CameBack(lambda name: Finding.of_json(kept(drill.answers, name)))
    target = stage_run.target
    history, at = history_before(target)
    questions = Questions(
        history,
        at,
        lambda sql, values: connections.postgres.rows(sql, **values),
        connections.original,
        sampling_of(given(target.recovery)),
    ).all()
    keep = partial(keep_answer, stage_run.folder, stage_run.redactor)
    return CameBack(lambda name: keep(name, found(kept(questions, name), errors=Inconclusive)))


def _recorded(connections: Connections, name: str, check: Check) -> Any:  # noqa: ANN401 - any probe
    return getattr(connections, name).recording(check.attach)


def _criteria(items: Iterable[pytest.Item]) -> tuple[Criterion, ...]:
    """Every criterion that the collected checks ask for, each once."""
    from opsverify.canary.criterion import Criterion  # noqa: PLC0415

    values = (value for item in items for value in getattr(item, "callspec", _NO_ROWS).params.values())
    return tuple({value.name: value for value in values if isinstance(value, Criterion)}.values())
