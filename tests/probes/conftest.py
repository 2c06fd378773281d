"""The fixtures of these tests; their servers have a module of their own, for `conftest` names many files."""

from tests.probes.probe_servers import certificate_of, cluster, fake, recorder, stopped_cluster

__all__ = ["certificate_of", "cluster", "fake", "recorder", "stopped_cluster"]
