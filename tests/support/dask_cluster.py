"""Cluster of Dask as a company runs one: a scheduler and workers, processes of their own, over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.probes.eventually import eventually
from sandbox.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LONGEST_S: Final = 120.0


@dataclass
class DaskCluster:
    """The address of the scheduler, and the options by which `opsverify fleet` reaches it."""

    folder: Path
    project: Path
    tls: tuple[str, str, str]
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def options(self) -> list[str]:
        """The command line's."""
        ca, certificate, key = self.tls
        return [f"--cluster={self.address}", f"--tls-ca={ca}", f"--tls-cert={certificate}", f"--tls-key={key}"]

    def start(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a scheduler or a worker in the project."""
        ca, certificate, key = self.tls
        argv = [sys.executable, "-m", f"distributed.cli.{module}", f"--scheduler-file={self.folder / 'scheduler.json'}",
                f"--tls-ca-file={ca}", f"--tls-cert={certificate}", f"--tls-key={key}", "--no-dashboard",
                *arguments]  # fmt: skip
        with (self.folder / f"{module}-{len(self.processes)}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    argv, cwd=self.project, env={**os.environ, **(environment or {})}, stdout=log, stderr=log
                )
            )  # fmt: skip


@contextlib.contextmanager
def dask_cluster(folder: Path, project: Path, workers: int, allowed_failures: int = 0) -> Iterator[DaskCluster]:
    """A scheduler with `workers`, each with one thread."""
    authority = Authority.create("fleet")
    authority.save(folder)
    pem = folder / "node.pem"
    pem.write_text(authority.issue("127.0.0.1", "localhost"), encoding="utf-8")
    cluster = DaskCluster(folder, project, (str(folder / "authority.pem"), str(pem), str(pem)))
    file = folder / "scheduler.json"
    try:
        allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        cluster.start("dask_scheduler", "--host=127.0.0.1", "--port=0", "--protocol=tls", environment=allowed)
        eventually(file.is_file, bool, deadline_s=LONGEST_S, every_s=0.05, what="a scheduler")
        cluster.address = json.loads(file.read_text(encoding="utf-8"))["address"]
        for _ in range(workers):
            cluster.start("dask_worker", "--nthreads=1", "--no-nanny", "--protocol=tls", "--host=127.0.0.1")
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait()
