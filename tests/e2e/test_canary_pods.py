"""Pods of the sandbox's canary: one that does not serve works on nothing, and a workflow is counted once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox import network
from sandbox.home import PODS
from sandbox.platform.faults import Faultless
from sandbox.platform.rules import Reading
from sandbox.platform.store import Store
from sandbox.platform.workflow import Workflows
from sandbox.postgres import Cluster
from sandbox.processes import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.support.standin import Standin

INTERRUPT = """
WITH begun AS (
    INSERT INTO workflow_instances (id, definition, dsl_version, status, payload, track, started_at)
    SELECT gen_random_uuid(), definition, dsl_version, 'PENDING', payload, track, now() - interval '1 minute'
    FROM (SELECT * FROM workflow_instances WHERE status = 'COMPLETED' AND track = 'canary' LIMIT 1) AS one,
         generate_series(1, 200)
    RETURNING id)
SELECT count(*) FROM begun
"""
"""As pods that died leave them; a process takes up fifty in a second."""
INTERRUPTED = """
SELECT count(*) FROM workflow_instances
WHERE status IN ('PENDING', 'RUNNING') AND track = 'canary' AND started_at < now() - interval '50 s'
"""


@pytest.fixture
def _spare_pods(standin: Standin) -> Iterator[None]:
    standin.await_quiet("prod-canary")
    standin.sandbox.scale(1, spare=True)
    yield
    standin.sandbox.scale(1)


@pytest.mark.usefixtures("_spare_pods")
def test_a_pod_that_does_not_serve_takes_up_no_workflow(standin: Standin) -> None:
    """Otherwise it has counted some before Prometheus knows it, and a window in which it comes cannot be judged."""
    cluster = Cluster(standin.sandbox.settings, Table(standin.sandbox.home))
    standin.await_that(lambda: finished(standin, PODS[0]) >= 1, "the canary to finish a workflow")
    assert cluster.value(INTERRUPT) == 200
    standin.await_that(lambda: cluster.value(INTERRUPTED) == 0, "interrupted workflows to be completed")
    assert [finished(standin, pod) for pod in PODS[1:]] == [0, 0]


def finished(standin: Standin, pod: str) -> float:
    """Workflows that a pod has counted; its series are there from the start."""
    _, text = network.get(standin.port(pod), "/metrics")
    families = text_string_to_metric_families(text.decode())
    (workflows,) = (family for family in families if family.name == "workflow_finished")
    return sum(sample.value for sample in workflows.samples)


def test_a_workflow_that_two_processes_work_on_is_counted_once(standin: Standin) -> None:
    """A slow one may be taken for interrupted while its own process works on it."""
    assert asyncio.run(worked_on_twice(standin.sandbox.settings.conninfo("judgment_app"))) == [True]


async def worked_on_twice(conninfo: str) -> list[bool]:
    """What two processes count of one workflow of a track that has no other process."""
    counted: list[bool] = []
    both_at_work = asyncio.Barrier(2)
    store = Store(conninfo)
    await store.open()

    async def rules() -> SimpleNamespace:
        return SimpleNamespace(decide=lambda _: None)

    async def call(*_: object) -> None:
        await both_at_work.wait()

    async def finish(instance: UUID) -> None:
        await workflows()._finish(instance)

    def workflows() -> Workflows:
        return Workflows(
            cast("Any", SimpleNamespace(track="nobody", rules=rules)),
            cast("Any", SimpleNamespace(call=call)),
            store,
            cast("Any", SimpleNamespace(workflow_finished=lambda *, completed: counted.append(completed))),
            cast("Any", Faultless()),
            leads=False,
        )

    try:
        await store.wait(10)
        reading = Reading("L01", temperature=60.0, pressure=5.0, vibration=2.0)
        instance = await workflows().create("quality_check", reading.to_dict(), None)
        await asyncio.gather(finish(instance), finish(instance))
        await finish(instance)
    finally:
        await store.execute("DELETE FROM workflow_instances WHERE track = 'nobody'")
        await store.close()
    return counted
