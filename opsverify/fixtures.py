"""What checks ask for: the check itself, and probes bound to the target and to the check's evidence.

Connections are shared by a session; what a probe sees goes to the check that asked.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar

import pytest

from opsverify.errors import Inconclusive
from opsverify.running import running_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from opsverify.after_rollback import AfterRollback
    from opsverify.canary import CanaryWindow
    from opsverify.check import Check
    from opsverify.criteria import Criterion
    from opsverify.drill import Drill
    from opsverify.gate.setup import Setup
    from opsverify.gate.watch import GateWatch
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.cache import Redis
    from opsverify.probes.http import Http
    from opsverify.probes.inbox import Inbox
    from opsverify.probes.mcp import Mcp
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.recent import Recent
    from opsverify.recovered import Recovered
    from opsverify.run import StageRun
    from opsverify.services import Services
    from opsverify.traveller import Traveller


P = TypeVar("P")
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
    from opsverify.services import Services  # noqa: PLC0415 - probes are imported when used

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
    from opsverify.recent import Recent  # noqa: PLC0415

    return Recent(prometheus, _given(stage_run.target.prometheus))


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
    from opsverify.canary import setup_of  # noqa: PLC0415 - probes are imported when used
    from opsverify.gate.observation import NAME, read_observation  # noqa: PLC0415
    from opsverify.gate.watch import GateWatch  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    setup = setup_of(stage_run.target, _given(stage_run.window_s), _criteria(request.session.items))
    kept = once(stage_run.folder.path, NAME, lambda keep: connections.observe(setup, keep))
    return GateWatch.replayed(*read_observation(kept))


@pytest.fixture
def canary(check: Check, gate_watch: GateWatch) -> CanaryWindow:
    """The watched window, for one check."""
    from opsverify.canary import CanaryWindow  # noqa: PLC0415
    from opsverify.gate.observation import NAME  # noqa: PLC0415

    check.attach("observation", f"{NAME} in the run's folder: {gate_watch.steps} looks; {gate_watch.in_words}")
    return CanaryWindow(gate_watch, check.limits)


@pytest.fixture
def after_rollback(check: Check, stage_run: StageRun, prometheus: Prometheus) -> AfterRollback:
    """The one look at the remaining service that all checks of a rollback share."""
    from opsverify.after_rollback import AfterRollback, look  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    kept = once(stage_run.folder.path, "after_rollback.json", partial(look, prometheus, check.target, stage_run.say))
    return AfterRollback.read_from(kept, check.target)


@pytest.fixture
def traveller(
    check: Check, services: Services, connections: Connections, request: pytest.FixtureRequest
) -> Iterator[Traveller]:
    """Takes a journey's steps; afterwards whatever they wrote is removed, also when they failed."""
    from opsverify.recent import Recent  # noqa: PLC0415
    from opsverify.traveller import Traveller, remove_traces, require_permission  # noqa: PLC0415

    journey = request.node.callspec.params["journey"]
    require_permission(check.target, journey)
    prometheus = partial(_recorded, connections, "prometheus", check)
    traveller = Traveller(
        check,
        services,
        postgres=partial(_recorded, connections, "postgres", check),
        prometheus=prometheus,
        recent=lambda: Recent(prometheus(), _given(check.target.prometheus)),
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
    from opsverify.recovery import read_queries  # noqa: PLC0415

    return read_queries(request.config.rootpath / "dr_validation" / "sql")


@pytest.fixture(scope="session")
def drill(stage_run: StageRun, queries: dict[str, str]) -> Drill:
    """The one restore drill that all checks of a rehearsal share."""
    from opsverify.drill import Drill, run_drill  # noqa: PLC0415
    from opsverify.recovered import recorded_before  # noqa: PLC0415
    from opsverify.shared import once  # noqa: PLC0415

    target = stage_run.target
    recorded = recorded_before(target) if target.recovery and target.recovery.recovery_target else None
    work = partial(run_drill, _given(target.recovery), _given(target.postgres).dbname, recorded, queries)
    return Drill.read_from(once(stage_run.folder.path, "drill.json", lambda keep: work(keep, stage_run.say)))


@pytest.fixture(scope="session")
def recovered(request: pytest.FixtureRequest, stage_run: StageRun, connections: Connections) -> Recovered:
    """What came back (in the target's database, or in the rehearsal's) beside what the ledger recorded before."""
    from opsverify.recovered import Recovered, recorded_before, recovery_target  # noqa: PLC0415

    recorded = recorded_before(stage_run.target)
    queries = request.getfixturevalue("queries")
    if stage_run.stage.name == "rehearsal":
        drill = request.getfixturevalue("drill")
        if drill.facts is None:
            raise Inconclusive(f"nothing was restored that could be compared: {drill.failure}")
        found = drill.facts
    else:
        found = recorded.ask_again(lambda sql, values: connections.postgres.rows(sql, **values), queries)
    return Recovered(recorded, found, queries, recovery_target(stage_run.target))


class Connections:
    """The probes of one process, each made when first asked for."""

    def __init__(self, run: StageRun) -> None:
        self.run = run
        self._open = ExitStack()
        self._made: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._open.close()

    @property
    def http(self) -> Http:
        """One pool of HTTP connections."""
        from opsverify.probes.http import Http  # noqa: PLC0415

        return self._once("http", Http)

    @property
    def postgres(self) -> Postgres:
        """One read-only session."""
        from opsverify.probes.postgres import Postgres  # noqa: PLC0415

        config = _given(self.run.target.postgres)
        return self._once("postgres", lambda: Postgres(config, self.run.secrets.of(config.login.password)))

    @property
    def redis(self) -> Redis:
        """One client."""
        from opsverify.probes.cache import Redis  # noqa: PLC0415

        config = _given(self.run.target.redis)
        return self._once("redis", lambda: Redis(config, self.run.secrets.of(config.password)))

    @property
    def prometheus(self) -> Prometheus:
        """One session."""
        from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415

        config = _given(self.run.target.prometheus)
        return self._once("prometheus", lambda: Prometheus(config, self.run.secrets.of(config.bearer)))

    def alertmanager(self, check: Check) -> Alertmanager:
        """Alertmanager over the shared HTTP pool."""
        from opsverify.probes.alertmanager import Alertmanager  # noqa: PLC0415

        config = _given(self.run.target.alertmanager)
        return Alertmanager(config, self.http.recording(check.attach), self.run.secrets.of(config.bearer))

    def inbox(self, check: Check) -> Inbox:
        """The notification channel's copy over the shared HTTP pool."""
        from opsverify.probes.inbox import Inbox  # noqa: PLC0415

        config = _given(self.run.target.inbox)
        return Inbox(config, self.http.recording(check.attach), self.run.secrets.of(config.bearer))

    def mcp(self, check: Check, server: str) -> Mcp:
        """One MCP server."""
        from opsverify.probes.mcp import Mcp  # noqa: PLC0415

        config = self.run.target.mcp[server]
        return Mcp(config, self.run.secrets.of(config.bearer), check.attach)

    def observe(self, setup: Setup, keep: TextIO) -> None:
        """Observe the canary's window now; every look is written to `keep` as it comes."""
        from opsverify.gate.observe import Clock, Observer  # noqa: PLC0415

        def write(line: str) -> None:
            keep.write(self.run.redactor.text(line) + "\n")
            keep.flush()

        # Our clock may be set in mid-window: only its beginning is taken from it.
        started = time.time() - time.monotonic()
        clock = Clock(lambda: started + time.monotonic(), lambda seconds: time.sleep(max(0.0, seconds)))
        Observer(self.prometheus, clock, self.run.say, write).observe(setup)

    def _once(self, name: str, make: Callable[[], AbstractContextManager[P]]) -> P:
        if name not in self._made:
            self._made[name] = self._open.enter_context(make())
        probe: P = self._made[name]
        return probe


def _recorded(connections: Connections, name: str, check: Check) -> Any:  # noqa: ANN401 - any probe
    return getattr(connections, name).recording(check.attach)


def _criteria(items: Iterable[pytest.Item]) -> tuple[Criterion, ...]:
    """Every criterion that the collected checks ask for, each once."""
    from opsverify.criteria import Criterion  # noqa: PLC0415

    values = (value for item in items for value in getattr(item, "callspec", _NO_ROWS).params.values())
    return tuple({value.name: value for value in values if isinstance(value, Criterion)}.values())


def _given(part: Any) -> Any:  # noqa: ANN401 - a part of the target that the plan found to be there
    if part is None:
        raise LookupError("a check uses a part of the target that it does not name in `needs`")
    return part
