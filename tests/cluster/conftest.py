"""Cluster of these tests, started once: the control plane, two nodes that kwok acts for, and the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import network
from tests.cluster.cluster import Cluster, awaited, cluster_of
from tests.cluster.control_plane import control_plane, process
from tests.cluster.programs import ARGO_ROLLOUTS, FLAGGER, missing
from tests.cluster.served_project import ServedProject, served_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.programs import Build

NODES = ("node-0", "node-1")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Provide a cluster whose nodes are ready. Skips where its programs were not built."""
    if absent := missing():
        pytest.skip(f"not built: {', '.join(absent)}; type: ./run test-cluster")
    folder = tmp_path_factory.mktemp("cluster")
    with control_plane(folder) as plane, cluster_of(plane, folder) as running:
        running.apply(*({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in NODES))
        running.kubectl("wait", "--for=condition=Ready", "--timeout=300s", *(f"node/{name}" for name in NODES))
        yield running


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProject]:
    """Provide the server that the controllers ask."""
    with served_project(tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture(scope="session")
def argo_rollouts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Provide the cluster with the controller of Argo Rollouts."""
    folder = tmp_path_factory.mktemp("argo-rollouts")
    _define(cluster, ARGO_ROLLOUTS)
    cluster.namespace("argo-rollouts")
    metrics = network.free_port_base(2)
    flags = (
        f"--kubeconfig={cluster.plane.kubeconfig}", "--leader-elect=false", f"--metricsPort={metrics}",
        f"--healthzPort={metrics + 1}",
    )  # fmt: skip
    with process(folder, ARGO_ROLLOUTS, "rollouts-controller", *flags) as controller:
        awaited(lambda: controller.running() and network.is_ok(metrics + 1, "/healthz"), "Argo Rollouts")
        yield cluster


@pytest.fixture(scope="session")
def flagger(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Provide the cluster with Flagger, without a mesh: it shifts no traffic, and asks no metrics."""
    folder = tmp_path_factory.mktemp("flagger")
    _define(cluster, FLAGGER)
    port = network.free_port_base(1)
    flags = (
        f"--kubeconfig={cluster.plane.kubeconfig}", "--mesh-provider=kubernetes", f"--port={port}",
        "--metrics-server=http://127.0.0.1:9", "--control-loop-interval=1s",
    )  # fmt: skip
    with process(folder, FLAGGER, "flagger", *flags) as controller:
        awaited(lambda: controller.running() and network.is_ok(port, "/healthz"), "Flagger")
        yield cluster


def _define(cluster: Cluster, build: Build) -> None:
    """Define the kinds of a controller, as it ships them."""
    definitions = sorted(build.folder.glob("*crd.yaml"))
    assert definitions
    files = [f"--filename={file}" for file in definitions]
    cluster.kubectl("apply", "--server-side", *files)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=300s", *files)
