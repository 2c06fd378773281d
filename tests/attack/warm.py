"""Warm process that runs the command line in forks of itself: clean as a new one, and three times as fast."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.pytest_plugin.suite import Ran, newest_run, verdict_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.pytest_plugin.suite import Suite

DEADLINE_S = 180
BEGUN = "begun"
"""File in the project that is there when the program has begun."""
_PRELOAD = (
    "pytest", "_pytest.pytester", "allure_pytest.plugin", "xdist.plugin", "opsverify.cli.main", "opsverify.cli.verify",
    "opsverify.pytest_plugin.plugin", "opsverify.pytest_plugin.outcomes", "opsverify.evidence.allure",
    "opsverify.pytest_plugin.fixtures.canary", "opsverify.pytest_plugin.fixtures.probes",
    "opsverify.pytest_plugin.fixtures.recovery", "opsverify.pytest_plugin.fixtures.smoke",
    "opsverify.pytest_plugin.fixtures.switchback", "opsverify.evidence.seal",
)  # fmt: skip


class Warm:
    """Runs of `opsverify verify daily`, each in a process of its own."""

    @cached_property
    def _context(self) -> Any:  # noqa: ANN401 - typeshed has one class for each way to start
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*_PRELOAD, __name__])
        return context

    def start(self, suite: Suite, args: Sequence[str] = (), *, group: bool = False) -> Any:  # noqa: ANN401 - as above
        """Start a run; `group`: in a process group of its own, as a terminal would."""
        argv = ["verify", "daily", "--target", "t", "--", *args]
        process = self._context.Process(
            target=_run, args=(argv, str(suite.root), dict(suite.environment), group), daemon=False
        )
        process.start()
        return process

    def run(self, suite: Suite, args: Sequence[str] = ()) -> Ran:
        """Run to the end."""
        return self.ended(suite, self.start(suite, args))

    def ended(self, suite: Suite, process: Any) -> Ran:  # noqa: ANN401 - as above
        """Await the end of a run, and read what it left."""
        process.join(DEADLINE_S)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutError(f"no end after {DEADLINE_S} s: {(suite.root / 'out').read_text()}")
        out, err = ((suite.root / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        folder = newest_run(suite.root)
        return Ran(process.exitcode, out, err, verdict_in(folder), folder)


def _run(argv: list[str], folder: str, environment: Mapping[str, str], group: bool) -> None:  # noqa: FBT001 - pickled
    """In a fork: become the command line, started in `folder`."""
    if group:
        os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    sys.argv = ["opsverify", *argv]
    from opsverify.__main__ import run  # noqa: PLC0415 - loaded in the warm process

    try:
        os.close(os.open(BEGUN, os.O_CREAT | os.O_WRONLY))
        code = run()
    except KeyboardInterrupt:  # before the program has begun, or after its end: Python would end by the signal
        code = 128 + signal.SIGINT
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
