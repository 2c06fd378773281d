"""Parts of one running sandbox: start, wait for, and stop them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.platform_processes import PROCESSES
from sandbox.postgres import STOP_FAST

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.home import Control, Settings
    from sandbox.platform_processes import Platform
    from sandbox.postgres import Cluster
    from sandbox.processes import Table
    from sandbox.prometheus import Monitoring
    from sandbox.redis import RedisServer
    from sandbox.started import Started

_STOP_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What one sandbox is made of."""

    settings: Settings
    table: Table
    cluster: Cluster
    redis: RedisServer
    monitoring: Monitoring
    platform: Platform
    control: Control
    progress: Callable[[str], None]

    def start(self, name: str) -> Started:
        """Start a component other than postgres, without waiting for it."""
        if name == "redis":
            return self.redis.start()
        if name == "prometheus":
            return self.monitoring.start_prometheus(self.progress)
        if name == "alertmanager":
            return self.monitoring.start_alertmanager()
        return self.platform.start(name)

    def wait(self, name: str, running: Started) -> None:
        """Wait until a started component serves."""
        if name == "redis":
            self.redis.wait(running)
        elif name in PROCESSES:
            self.platform.wait(name, running)
        else:
            self.monitoring.wait(name, running)

    def bring_up(self, name: str) -> None:
        """Start a component if it does not run, and wait until it serves."""
        if self.table.alive(name):
            return
        if name == "postgres":
            self.cluster.start()
            # A checkpointer idle since recovery misses archive_timeout for half a minute: wake it.
            self.cluster.checkpoint()
        else:
            self.wait(name, self.start(name))

    def take_down(self, name: str) -> None:
        """Stop a component in its orderly way."""
        self.table.stop([name], deadline_s=_STOP_DEADLINE_S, signals={"postgres": STOP_FAST})
