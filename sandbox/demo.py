"""Demo (`./run demo`): stages of the runbook on the stand-in platform, each with the verdict it must have."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from opsverify.cli.parser import CommandParser
from opsverify.config.project import project_root
from opsverify.language.environment import environment_language
from opsverify.language.message import LANGUAGES, say
from sandbox import network
from sandbox.core import Sandbox
from sandbox.demo_output import Played, Scene, Status, end, summary
from sandbox.home import REPOSITORY, SERVICES
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = "20s"
QUIET_WITHIN_S = 60
EXIT_CODES = (
    say("exit codes:"),
    say("  0   every verdict as expected"),
    say("  1   a verdict was not as expected"),
    say("  4   usage: command line"),
    say("  130 interrupted"),
)
INTERRUPTED = 130
"""The exit status that shells use for SIGINT."""
REQUESTS = "judgment_requests_total"
ERRORS = REQUESTS + '{code=~"5.."}'
SCRAPES_S = 2.0
"""Two scrapes of the stand-in's Prometheus: what failed until now is counted by then."""
RATE = 40.0
CANARY_SHARE = 0.18


@dataclass
class Stagehand:
    """Changes the platform between scenes."""

    sandbox: Sandbox
    folder: Path
    recovery_target: str = ""

    def nothing(self) -> list[str]:
        """Leave the platform healthy."""
        return []

    def canary_answers_stop_parsing(self) -> list[str]:
        """Break the canary's LLM answers."""
        self.sandbox.fault("llm_unparsable", "canary")
        return []

    def prometheus_stops(self) -> list[str]:
        """Release a canary without faults, then stop Prometheus."""
        self.sandbox.fault("llm_unparsable", off=True)
        self.sandbox.migrate("up")
        self.sandbox.traffic(canary_share=CANARY_SHARE)
        self.sandbox.fault("prometheus_down")
        return []

    def database_is_restored(self) -> list[str]:
        """Back up, record, destroy, restore to a point in time."""
        self.sandbox.fault("prometheus_down", off=True)
        self.wait_until_quiet()
        progress(say("base backup (pg_basebackup)"))
        self.sandbox.backup()
        progress(opsverify("ledger", "capture", *self.target, f"--language={STATUS.language}").strip())
        captured = time.time()
        progress(say("traffic goes on until its WAL is archived"))
        archive = self.sandbox.home / "recovery" / "wal"
        wait_until(
            # The cheap condition first: a segment's file may be newer than its newest commit.
            lambda: (
                max(path.stat().st_mtime for path in archive.iterdir()) > captured and self._recoverable_to() > captured
            ),
            60,
            say("the WAL archive to reach past the capture"),
        )
        destroyed = self.sandbox.destroy_db().isoformat(timespec="seconds")
        progress(say("the database is destroyed at {at}", at=destroyed))
        self.recovery_target = opsverify("dr", "target", *self.target).strip()
        progress(say("point-in-time restore to {moment}", moment=self.recovery_target))
        restored = self.sandbox.restore(self.recovery_target)
        progress(
            say(
                "restored in {seconds:.1f} s, timeline {timeline}",
                seconds=(restored.finished_at - restored.started_at).total_seconds(),
                timeline=restored.timeline,
            )
        )
        removed = self.sandbox.clear_cache()
        progress(say("cache cleared: {removed} judgments from before the disaster removed", removed=removed))
        self.wait_until_quiet()
        return [f"--recovery-target={self.recovery_target}"]

    def rows_are_lost(self) -> list[str]:
        """Lose the rows of one line and date."""
        self.sandbox.fault("rows_lost")
        return [f"--recovery-target={self.recovery_target}"]

    def _no_alert(self) -> bool:
        """Whether nothing fires but the alert that always does."""
        alerts = network.get_json(self.sandbox.settings.ports["alertmanager"], "/api/v2/alerts")
        return alerts is not None and all(alert["labels"]["alertname"] == "Watchdog" for alert in alerts)

    def wait_until_quiet(self) -> None:
        """Wait until no alert fires and the platform is healthy."""
        ports = self.sandbox.settings.ports
        progress(say("waiting until the platform is healthy and no alert fires"))
        began = time.time()
        wait_until(
            lambda: (
                (network.get_json(ports["edge"], "/health") or {}).get("status") == "ok"
                and self._no_recent_errors(began + SCRAPES_S)
                and self._no_alert()
            ),
            QUIET_WITHIN_S,
            say("the alerts to end"),
        )

    @property
    def target(self) -> list[str]:
        """The arguments that name this platform."""
        return ["--target", str(self.sandbox.target)]

    def _no_recent_errors(self, scraped_since: float) -> bool:
        # What failed a moment ago may still raise its alert, and may not have been scraped yet.
        seen = f"min(timestamp({REQUESTS})) > {scraped_since:.3f}"
        query = quote(f"sum(increase({ERRORS}[10s])) == 0 and on() ({seen})")
        answer = network.get_json(self.sandbox.settings.ports["prometheus"], f"/api/v1/query?query={query}")
        return bool(answer and answer["data"]["result"])

    def _recoverable_to(self) -> float:
        done = subprocess.run(_program("dr", "target", *self.target), capture_output=True, text=True, check=False)
        return datetime.fromisoformat(done.stdout.strip()).timestamp() if done.returncode == 0 else 0.0


SCENES = (
    Scene("a", say("good release on staging"), Stagehand.nothing, ("staging",), "promote", 0),
    Scene("b", say("good canary"), Stagehand.nothing, ("prod-canary", "--window", WINDOW), "promote", 0),
    Scene(
        "c", say("canary whose LLM answers stop parsing"), Stagehand.canary_answers_stop_parsing,
        ("prod-canary", "--window", WINDOW), "rollback", 1,
    ),
    Scene(
        "c'", say("act on the decision of (c)"), Stagehand.nothing, ("act",), "accept", 0, acts=True,
    ),
    Scene("d", say("Prometheus stopped"), Stagehand.prometheus_stops, ("prod-canary", "--window", "8s"), "hold", 10),
    Scene("e", say("database destroyed and restored"), Stagehand.database_is_restored, ("post-dr",), "accept", 0),
    Scene("f", say("the same, with rows lost"), Stagehand.rows_are_lost, ("post-dr",), "reject", 1),
)  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """Run all scenes; 0 only if every verdict is as expected. It takes no arguments but `--help` and `--language`."""
    parser = CommandParser(
        "opsverify demo", description=say("The stand-in platform through a release, in two minutes.")
    )
    parser.examples, parser.exit_codes = ("opsverify demo",), EXIT_CODES
    parser.add_argument("--language", choices=LANGUAGES, help=say("ko or en (default: as LC_ALL and LANG ask for)"))
    STATUS.language = parser.parse_args(arguments).language or environment_language()
    try:
        return _play_all()
    except KeyboardInterrupt:
        progress(say("interrupted: no overall verdict; everything started is stopped"))
        return INTERRUPTED


def _play_all() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opsverify-demo-") as home, STATUS:
        Path(home).chmod(0o755)
        progress(
            say("starting the stand-in platform (PostgreSQL, Redis, Prometheus, Alertmanager, MCP, LLM, two versions)")
        )
        with Sandbox(
            home, network.free_port_base(len(SERVICES)), rate=RATE, canary_share=CANARY_SHARE, progress=progress
        ) as sandbox:
            stagehand = Stagehand(sandbox, project_root() / "reports" / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            played = []
            for scene in SCENES:
                played.append(_play(scene, stagehand))
                STATUS.show(summary(played[-1], STATUS.columns, STATUS.language))
    STATUS.show(end(played, stagehand.folder, time.monotonic() - began, STATUS.columns, STATUS.language))
    return 0 if all(scene.as_expected for scene in played) else 1


STATUS: Final = Status()


def progress(text: str) -> None:
    """Show one line of progress."""
    STATUS.say(text)


def opsverify(*arguments: str) -> str:
    """Run a command of the suite; its output. Raises CalledProcessError."""
    return subprocess.run(_program(*arguments), capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout


def _play(scene: Scene, stagehand: Stagehand) -> Played:
    progress(scene.title)
    more = scene.prepare(stagehand)
    run = stagehand.folder / f"{scene.letter}-{scene.stage}"
    if scene.acts:
        before = max(stagehand.folder.glob("*/verdict.json"), key=lambda path: path.stat().st_mtime)
        run_id = json.loads(before.read_text(encoding="utf-8"))["run_id"]
        run = stagehand.folder / "actions" / run_id / "post-rollback"
        command = _program("act", str(before.parent), "--yes", *stagehand.target)
    else:
        command = _program("verify", *scene.arguments, f"--report-dir={run}", *stagehand.target, *more)
    typed = " ".join(["opsverify", *command[3:]])
    progress(typed.replace(f"{REPOSITORY}/", ""))
    stagehand.folder.mkdir(parents=True, exist_ok=True)
    with (stagehand.folder / f"{scene.letter}.log").open("w", encoding="utf-8") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False, cwd=REPOSITORY).returncode
    try:
        verdict = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
        report = opsverify("report", str(run)).strip()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        return Played(scene, code, {}, say("no report: {error}; see {log}", error=error, log=log.name))
    return Played(scene, code, verdict, report)


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "opsverify", *arguments]


if __name__ == "__main__":
    sys.exit(main())
