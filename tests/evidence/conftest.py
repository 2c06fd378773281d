"""Fixtures: a project whose daily stage accepts, run whole."""

from tests.probes.probe_servers import certificate_of, cluster, fake, recorder, stopped_cluster
from tests.pytest_plugin.conftest import suite

__all__ = ["certificate_of", "cluster", "fake", "recorder", "stopped_cluster", "suite"]
