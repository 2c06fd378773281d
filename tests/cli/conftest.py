"""The fixtures of these tests; their servers have a module of their own, for `conftest` names many files."""

from tests.probes.probe_servers import cluster, stopped_cluster

__all__ = ["cluster", "stopped_cluster"]
