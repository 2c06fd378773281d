"""Platform started on the restored database, with its cache and its business smoke.

The platform's own target file is verified by the stage `staging`, in a process and a folder of its own: plan, verdict
and evidence like any other run's, kept inside the rehearsal's folder.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from opsverify.commands import end_group, run_command
from opsverify.config.load import load_target
from opsverify.config.placeholders import filled
from opsverify.config.project import project_root
from opsverify.core.stages import Outcome
from opsverify.errors import Inconclusive, TargetError
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.message import say
from opsverify.language.plain import without_colours
from opsverify.metrics.cache_age import Cached
from opsverify.probes.eventually import eventually
from opsverify.recovery.drill.parts import SmokeResult
from opsverify.units import duration, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.platform import RehearsalPlatform
    from opsverify.config.secrets import Secrets
    from opsverify.recovery.drill.parts import PlatformPart
    from opsverify.recovery.postgres.server import Server

T = TypeVar("T")

SMOKE: Final = "smoke"
"""Folder of the smoke's own run, in the rehearsal's."""
STAGE: Final = "staging"
"""The stage that smokes a platform (runbook 2-1): E2E judgment, alert, BI, LLM parsing, and every health check."""
_SMOKE_WITHIN_S: Final = 900.0
_CLEAR_WITHIN_S: Final = 60.0
_GRACE_S: Final = 30.0
_STARTED_AT: Final = "SELECT extract(epoch FROM pg_postmaster_start_time())::text"


@dataclass(frozen=True)
class RestoredPlatform:
    """A drill's platform as checks read it: what was not reached raises Inconclusive, with the blocked reason."""

    part: PlatformPart

    @property
    def smoke(self) -> SmokeResult:
        """The smoke's verdict. Raises Inconclusive where there is none, or where it is inconclusive itself."""
        smoke = self._reached("smoke", self.part.smoke)
        if smoke.outcome == Outcome.INCONCLUSIVE:
            reasons = listed(say("smoke of the restored platform: inconclusive"), smoke.reasons)
            raise Inconclusive(say("{reasons}; see its evidence in {smoke}/", reasons=reasons, smoke=SMOKE))
        return smoke

    @property
    def cleared_at(self) -> dt.datetime:
        """When the cache was cleared. Raises Inconclusive where it was not."""
        return dt.datetime.fromisoformat(self._reached("cleared_at", self.part.cleared_at))

    @property
    def cached(self) -> Cached:
        """The cache after the smoke. Raises Inconclusive where it was not read."""
        return self._reached("cached", self.part.cached)

    def _reached(self, name: str, value: T | None) -> T:
        if value is None:
            raise Inconclusive(self.part.blocked or say("drill.json has no {name}: rerun the rehearsal", name=name))
        return value


@dataclass(frozen=True)
class StartedPlatform:
    """A platform that serves on the restored database: its target, and the values of its commands' placeholders."""

    config: RehearsalPlatform
    target_file: Path
    target: Target
    secrets: Secrets
    values: Mapping[str, str]

    def clear_cache(self) -> dt.datetime:
        """Clear the cache by `clear_cache` of the target; when. Raises Inconclusive where the command fails."""
        argv = filled(self.config.clear_cache, self.values)
        began = dt.datetime.now(dt.UTC)
        ran = run_command(argv, _CLEAR_WITHIN_S, self.config.folder)
        if not ran.ok:
            raise Inconclusive(
                say(
                    "recovery.platform.clear_cache: {argv}: {text}: {error}",
                    argv=argv[0],
                    text=ran.text,
                    error=_last_line(ran.output),
                )
            )
        return began

    def smoke(self, evidence: Path) -> SmokeResult:
        """Run the smoke stage on the platform, its evidence in `evidence`; its verdict in brief.

        Raises Inconclusive where the run ends without a verdict.
        """
        command = [
            sys.executable, "-m", "opsverify", "verify", STAGE, f"--target={self.target_file}",
            f"--report-dir={evidence}",
        ]  # fmt: skip
        ran = run_command(command, _SMOKE_WITHIN_S, str(project_root()), _environment())
        try:
            verdict = json.loads((evidence / VERDICT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            output = f"{ran.text}: {_last_line(ran.output)}"
            raise Inconclusive(say("smoke of the restored platform: no verdict: {output}", output=output)) from error
        passed = [check["id"] for check in verdict["checks"] if check["outcome"] == Outcome.PASS]
        return SmokeResult(
            verdict["run_id"], verdict["outcome"], tuple(verdict["reasons"]), verdict["executed"], tuple(passed)
        )

    def cached(self) -> Cached:
        """The platform's cache now. Raises Inconclusive where it cannot be read."""
        from opsverify.probes.redis import open_redis  # noqa: PLC0415 - loads a client library

        config = self.target.redis
        if config is None:
            raise Inconclusive(say("restored platform: missing [redis] in {name}", name=self.target_file.name))
        with open_redis(config, self.secrets) as redis:
            return Cached.read(redis, config)


@contextmanager
def start_platform(config: RehearsalPlatform, server: Server, dbname: str, home: Path) -> Iterator[StartedPlatform]:
    """Start the platform on `server` (the drill's own) in the folder `home`; on leaving, stop it.

    Raises Inconclusive where it does not serve in time, or where it uses any other database.
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
            why = say("{run} could not be started: {error}", run=config.run[0], error=error.strerror)
            raise Inconclusive(say("recovery.platform.run: {why}", why=why)) from error
        try:
            _await_serving(process, target_file, config, home / "platform.log")
            target, secrets = _read(target_file)
            _require_same_database(server, target, secrets)
            yield StartedPlatform(config, target_file, target, secrets, values)
        finally:
            end_group(process, _GRACE_S)


def _read(target_file: Path) -> tuple[Target, Secrets]:
    try:
        return load_target(target_file)
    except TargetError as error:
        raise Inconclusive(
            say("restored platform: invalid target file: {problems}", problems=error.problems[0])
        ) from error


def _await_serving(process: subprocess.Popen[bytes], target_file: Path, config: RehearsalPlatform, log: Path) -> None:
    eventually(
        target_file.exists,
        until=bool,
        stop_when=lambda _: process.poll() is not None,
        deadline_s=config.within_s,
        what=say("the restored platform"),
    )
    if not target_file.exists():
        code = process.poll()
        how = (
            say("timed out after {within_s}", within_s=duration(config.within_s))
            if code is None
            else say("exit code {code}", code=code)
        )
        output = _last_line(log.read_text(encoding="utf-8", errors="replace"))
        raise Inconclusive(say("restored platform does not serve: {how}: {output}", how=how, output=output))


def _require_same_database(server: Server, target: Target, secrets: Secrets) -> None:
    """Raise Inconclusive where the platform does not use the drill's own server: its smoke would write elsewhere."""
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - loads a client library

    config = target.postgres
    if config is None:
        raise Inconclusive(
            say("restored platform: missing [postgres] in target {name}: its database is not known", name=target.name)
        )
    with Postgres(config, secrets.of(config.login.password)) as probe:
        used = probe.row(_STARTED_AT)[0]
    if used != server.row(_STARTED_AT)[0]:
        raise Inconclusive(
            say(
                "restored platform: it uses the database at {host}:{port}, not the restored one; no "
                "smoke was run; pass {{port}} in recovery.platform.run",
                host=config.host,
                port=config.port,
            )
        )


def _environment() -> dict[str, str]:
    """This process's environment, without the variables that would make another pytest a part of this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def _last_line(text: str) -> str:
    return next(
        (line.strip() for line in reversed(without_colours(text).splitlines()) if line.strip()), say("no output")
    )
