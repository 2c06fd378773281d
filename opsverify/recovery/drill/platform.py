"""The business part of a rehearsal: a platform started on the restored database, its cache, and its smoke.

The platform's own target file is verified by the suite's own stage for that, in a process and a folder of its own:
a plan, a verdict and evidence like any other run's, kept inside the rehearsal's.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from opsverify.commands import end_group, run_command
from opsverify.config.load import load_target
from opsverify.config.placeholders import filled
from opsverify.config.project import project_root
from opsverify.core.stages import Outcome
from opsverify.errors import Inconclusive, TargetError
from opsverify.evidence.run_folder import VERDICT
from opsverify.metrics.cache_age import Cached
from opsverify.probes.eventually import eventually
from opsverify.units import duration, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.platform import RehearsalPlatform
    from opsverify.config.secrets import Secrets
    from opsverify.recovery.drill.run import Drill
    from opsverify.recovery.postgres.server import Server

SMOKE: Final = "smoke"
"""The folder, in the rehearsal's, of the smoke's own run."""
STAGE: Final = "staging"
"""The stage that smokes a platform (runbook 2-1): E2E judgment, alert, BI, LLM parsing, and every health check."""
_KEPT: Final = ("run_id", "outcome", "reasons", "executed")
_SMOKE_WITHIN_S: Final = 900.0
_CLEAR_WITHIN_S: Final = 60.0
_GRACE_S: Final = 30.0
_STARTED_AT: Final = "SELECT extract(epoch FROM pg_postmaster_start_time())::text"


@dataclass(frozen=True)
class RestoredPlatform:
    """What became of business on the restored database: the smoke's verdict and the cache, as far as it came.

    `said` are a drill's facts of it, `hindrance` is why there are no more of them.
    """

    said: Mapping[str, Any]
    hindrance: str | None

    @classmethod
    def of(cls, drill: Drill) -> Self:
        """What `drill` kept. Raises Inconclusive where it never came to it."""
        if drill.business is None:
            raise Inconclusive(drill.why_not)
        return cls(drill.business, drill.business_hindrance)

    @property
    def smoke(self) -> Mapping[str, Any]:
        """What the smoke's verdict says. Raises Inconclusive where there is none, or where it could not decide."""
        smoke: Mapping[str, Any] = self._kept("smoke")
        if smoke["outcome"] == Outcome.INCONCLUSIVE:
            undecided = listed("the smoke of the restored platform could not be decided", smoke["reasons"])
            raise Inconclusive(f"{undecided}; its evidence is in {SMOKE}/")
        return smoke

    @property
    def cleared_at(self) -> dt.datetime:
        """When the cache was cleared. Raises Inconclusive where it was not."""
        return dt.datetime.fromisoformat(self._kept("cleared_at"))

    @property
    def cached(self) -> Cached:
        """What the cache held after the smoke. Raises Inconclusive where nobody looked."""
        return Cached.from_dict(self._kept("cached"))

    def _kept(self, name: str) -> Any:  # noqa: ANN401 - any of the drill's facts
        if name not in self.said:
            raise Inconclusive(self.hindrance or f"the drill kept no {name}")
        return self.said[name]


@dataclass(frozen=True)
class StandingPlatform:
    """A platform that serves on the restored database: its target, and the values of its commands' placeholders."""

    config: RehearsalPlatform
    target_file: Path
    target: Target
    secrets: Secrets
    values: Mapping[str, str]

    def clear_cache(self) -> dt.datetime:
        """Clear the cache by the target's own command; when. Raises Inconclusive where the command fails."""
        argv = filled(self.config.clear_cache, self.values)
        began = dt.datetime.now(dt.UTC)
        ran = run_command(argv, _CLEAR_WITHIN_S, self.config.folder)
        if not ran.ok:
            raise Inconclusive(f"recovery.platform.clear_cache: {argv[0]}: {ran.text}: {_last_line(ran.output)}")
        return began

    def smoke(self, evidence: Path) -> dict[str, Any]:
        """Run the smoke stage on the platform, its evidence in `evidence`; what its verdict says, in brief.

        Raises Inconclusive where it ended without a verdict.
        """
        command = [
            sys.executable, "-m", "opsverify", "verify", STAGE, f"--target={self.target_file}",
            f"--report-dir={evidence}",
        ]  # fmt: skip
        ran = run_command(command, _SMOKE_WITHIN_S, str(project_root()), _environment())
        try:
            verdict = json.loads((evidence / VERDICT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            said = f"{ran.text}: {_last_line(ran.output)}"
            raise Inconclusive(f"the smoke of the restored platform ended without a verdict: {said}") from error
        passed = [check["id"] for check in verdict["checks"] if check["outcome"] == Outcome.PASS]
        return {name: verdict[name] for name in _KEPT} | {"passed": passed}

    def cached(self) -> Cached:
        """What the platform's cache holds now. Raises Inconclusive where that is not known."""
        from opsverify.probes.redis import Redis  # noqa: PLC0415 - probes are imported when used

        config = self.target.redis
        if config is None:
            raise Inconclusive(f"{self.target_file.name} of the restored platform describes no [redis]")
        with Redis(config, self.secrets.of(config.password)) as redis:
            return Cached.read(redis, config)


@contextmanager
def standing(config: RehearsalPlatform, server: Server, dbname: str, home: Path) -> Iterator[StandingPlatform]:
    """Start the platform on `server` (the drill's own) in the folder `home`; on leaving, end it.

    Raises Inconclusive where it does not serve in time, or where it would work on any other database.
    """
    home.mkdir()
    values = {"port": str(server.port), "dbname": dbname, "home": str(home)}
    target_file = home / "target.toml"
    with (home / "platform.log").open("w+b") as log:
        try:
            process = subprocess.Popen(
                filled(config.run, values), cwd=config.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, env=_environment(),
            )  # fmt: skip
        except OSError as error:
            why = f"{config.run[0]} could not be started: {error.strerror}"
            raise Inconclusive(f"recovery.platform.run: {why}") from error
        try:
            _await_serving(process, target_file, config, home / "platform.log")
            target, secrets = _read(target_file)
            _require_same_database(server, target, secrets)
            yield StandingPlatform(config, target_file, target, secrets, values)
        finally:
            end_group(process, _GRACE_S)


def _read(target_file: Path) -> tuple[Target, Secrets]:
    try:
        return load_target(target_file)
    except TargetError as error:
        raise Inconclusive(f"the restored platform's target file is not usable: {error.problems[0]}") from error


def _await_serving(process: subprocess.Popen[bytes], target_file: Path, config: RehearsalPlatform, log: Path) -> None:
    eventually(
        target_file.exists,
        until=bool,
        stop_when=lambda _: process.poll() is not None,
        deadline_s=config.within_s,
        what="the platform on the restored database",
    )
    if not target_file.exists():
        code = process.poll()
        how = f"not within {duration(config.within_s)}" if code is None else f"it ended with exit code {code}"
        said = _last_line(log.read_text(encoding="utf-8", errors="replace"))
        raise Inconclusive(f"the platform does not serve on the restored database: {how}: {said}")


def _require_same_database(server: Server, target: Target, secrets: Secrets) -> None:
    """Refuse a platform that was not started on the drill's own server: its smoke would write somewhere else."""
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used

    config = target.postgres
    if config is None:
        raise Inconclusive(f"target {target.name} of the restored platform describes no [postgres]: whose data is it?")
    with Postgres(config, secrets.of(config.login.password)) as probe:
        theirs = probe.row(_STARTED_AT)[0]
    ours = server.row(_STARTED_AT)[0]
    if theirs != ours:
        raise Inconclusive(
            f"the platform started for the rehearsal uses the database at {config.host}:{config.port}, which is not "
            "the restored one: no smoke was sent; give it {port} in recovery.platform.run"
        )


def _environment() -> dict[str, str]:
    """Ours, without what would make another pytest take itself for a part of this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
