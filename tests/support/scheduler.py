"""Scheduler of the suite's own tests over xdist's workers: groups stay together, and a worker may crash."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Callable


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Keep the tests of a group on one worker; any other test goes to whichever worker is free.

    Not by `--dist loadgroup`: since pytest 9.2 the suffix of a node id by which xdist 3.8 tells groups apart is lost.

    xdist 3.8 hangs after a worker crashed: it hands out again what that worker had finished, and a worker that is
    given nothing to run never asks for more. It also gives work to a worker that has not collected its tests yet, which
    loses the work and the crash. So what is done stays done here, the test of the crash too (it has failed), a worker
    waits for its collection, and is then given two units, as every worker at the start.
    """

    def __init__(self, config: Any, log: Any, group_of: Callable[[str], str]) -> None:  # noqa: ANN401 - xdist's own
        super().__init__(config, log)
        self._group_of = group_of

    def _split_scope(self, nodeid: str) -> str:
        return self._group_of(nodeid)

    def schedule(self) -> None:
        """Give work to every worker; a worker needs two units, for it begins a test when it knows the next one."""
        super().schedule()
        for node in self.nodes:
            self._reschedule(node)

    def _reschedule(self, node: Any) -> None:  # noqa: ANN401 - xdist's own
        if node in self.registered_collections:
            super()._reschedule(node)

    def _assign_work_unit(self, node: Any) -> None:  # noqa: ANN401 - xdist's own
        with suppress(OSError):  # it has ended, and `remove_node` will take back what it was given
            super()._assign_work_unit(node)

    def remove_node(self, node: Any) -> str | None:  # noqa: ANN401 - xdist's own
        """Take back what a worker was given and has not run; returns the test in which it crashed, if it did."""
        units: dict[str, dict[str, bool]] = self.assigned_work[node]
        crashed = next(((unit, test) for unit in units.values() for test, done in unit.items() if not done), None)
        if crashed:
            unit, test = crashed
            unit[test] = True
        for group in [group for group, unit in units.items() if all(unit.values())]:
            del units[group]
        super().remove_node(node)
        return crashed[1] if crashed else None
