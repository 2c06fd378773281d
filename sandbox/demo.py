"""Demo (`./run demo`): stages of the runbook on the stand-in platform, each with the verdict it must have."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opsverify.config.project import project_root
from sandbox import network
from sandbox.core import Sandbox
from sandbox.home import REPOSITORY, SERVICES
from sandbox.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = "20s"
QUIET_WITHIN_S = 60
INTERRUPTED = 130
"""The exit status that shells use for SIGINT."""
PLAIN_WIDTH = 170
ERRORS = 'judgment_requests_total{code=~"5.."}'
RATE = 40.0
CANARY_SHARE = 0.18


@dataclass(frozen=True)
class Scene:
    """One command: what is done to the platform before it, and the verdict it must have.

    `prepare` returns further arguments. `acts`: the command carries out the verdict of the scene before.
    """

    letter: str
    what: str
    prepare: Callable[[Stagehand], list[str]]
    arguments: tuple[str, ...]
    decision: str
    exit_code: int
    acts: bool = False

    @property
    def stage(self) -> str:
        """The stage that the verdict is of."""
        return "post-rollback" if self.acts else self.arguments[0]


@dataclass(frozen=True)
class Played:
    """Result of one scene."""

    scene: Scene
    exit_code: int
    verdict: dict[str, Any]
    report: str

    @property
    def as_expected(self) -> bool:
        """Whether decision and exit code are those the scene must have."""
        return (self.verdict.get("decision"), self.exit_code) == (self.scene.decision, self.scene.exit_code)


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
        say("base backup (pg_basebackup)")
        self.sandbox.backup()
        say(opsverify("ledger", "capture", *self.target).strip())
        captured = time.time()
        say("traffic goes on until its WAL is archived")
        archive = self.sandbox.home / "recovery" / "wal"
        wait_until(
            # The cheap condition first: a segment's file may be newer than its newest commit.
            lambda: (
                max(path.stat().st_mtime for path in archive.iterdir()) > captured and self._recoverable_to() > captured
            ),
            60,
            "the WAL archive to reach past the capture",
        )
        say(f"the database is destroyed at {self.sandbox.destroy_db().isoformat(timespec='seconds')}")
        self.recovery_target = opsverify("dr", "target", *self.target).strip()
        say(f"point-in-time restore to {self.recovery_target}")
        restored = self.sandbox.restore(self.recovery_target)
        say(
            f"restored in {(restored.finished_at - restored.started_at).total_seconds():.1f} s, "
            f"timeline {restored.timeline}"
        )
        say(f"cache cleared: {self.sandbox.clear_cache()} judgments from before the disaster removed")
        self.wait_until_quiet()
        return [f"--recovery-target={self.recovery_target}"]

    def rows_are_lost(self) -> list[str]:
        """Lose the rows of one line and date."""
        self.sandbox.fault("rows_lost")
        return [f"--recovery-target={self.recovery_target}"]

    def wait_until_quiet(self) -> None:
        """Wait until no alert fires and the platform is healthy."""
        ports = self.sandbox.settings.ports
        say("waiting until the platform is healthy and no alert fires")
        wait_until(
            lambda: (
                (network.get_json(ports["edge"], "/health") or {}).get("status") == "ok"
                and self._no_recent_errors()
                and network.get_json(ports["alertmanager"], "/api/v2/alerts") == []
            ),
            QUIET_WITHIN_S,
            "the alerts to end",
        )

    @property
    def target(self) -> list[str]:
        """The arguments that name this platform."""
        return ["--target", str(self.sandbox.target)]

    def _no_recent_errors(self) -> bool:
        # What failed a moment ago may still raise its alert.
        query = quote(f"sum(increase({ERRORS}[10s])) == 0")
        answer = network.get_json(self.sandbox.settings.ports["prometheus"], f"/api/v1/query?query={query}")
        return bool(answer and answer["data"]["result"])

    def _recoverable_to(self) -> float:
        done = subprocess.run(_program("dr", "target", *self.target), capture_output=True, text=True, check=False)
        return datetime.fromisoformat(done.stdout.strip()).timestamp() if done.returncode == 0 else 0.0


SCENES = (
    Scene("a", "good release on staging", Stagehand.nothing, ("staging",), "promote", 0),
    Scene("b", "good canary", Stagehand.nothing, ("prod-canary", "--window", WINDOW), "promote", 0),
    Scene(
        "c", "canary whose LLM answers stop parsing", Stagehand.canary_answers_stop_parsing,
        ("prod-canary", "--window", WINDOW), "rollback", 1,
    ),
    Scene(
        "c'", "act on the decision of (c)", Stagehand.nothing, ("act",), "accept", 0, acts=True,
    ),
    Scene("d", "Prometheus stopped", Stagehand.prometheus_stops, ("prod-canary", "--window", "8s"), "hold", 10),
    Scene("e", "database destroyed and restored", Stagehand.database_is_restored, ("post-dr",), "accept", 0),
    Scene("f", "the same, with rows lost", Stagehand.rows_are_lost, ("post-dr",), "reject", 1),
)  # fmt: skip


def main() -> int:
    """Run all scenes; 0 only if every verdict is as expected."""
    try:
        return _play_all()
    except KeyboardInterrupt:
        say("interrupted: no overall verdict; everything started is stopped")
        return INTERRUPTED


def _play_all() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opsverify-demo-") as home:
        Path(home).chmod(0o755)
        say("starting the stand-in platform (PostgreSQL, Redis, Prometheus, Alertmanager, MCP, LLM, two versions)")
        with Sandbox(
            home, network.free_port_base(len(SERVICES)), rate=RATE, canary_share=CANARY_SHARE, progress=say
        ) as sandbox:
            stagehand = Stagehand(sandbox, project_root() / "reports" / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            played = [_play(scene, stagehand) for scene in SCENES]
    _print_table(played)
    say(f"took {time.monotonic() - began:.0f} s")
    return 0 if all(scene.as_expected for scene in played) else 1


def say(text: str) -> None:
    """Print one line of progress."""
    sys.stdout.write(f"  . {text}\n")
    sys.stdout.flush()


def opsverify(*arguments: str) -> str:
    """Run a command of the suite; its output. Raises CalledProcessError."""
    return subprocess.run(_program(*arguments), stdout=subprocess.PIPE, text=True, check=True, cwd=REPOSITORY).stdout


def _play(scene: Scene, stagehand: Stagehand) -> Played:
    sys.stdout.write(f"\n({scene.letter}) {scene.what}: expected {scene.decision}, exit {scene.exit_code}\n")
    sys.stdout.flush()
    more = scene.prepare(stagehand)
    run = stagehand.folder / f"{scene.letter}-{scene.stage}"
    if scene.acts:
        before = max(stagehand.folder.glob("*/verdict.json"), key=lambda path: path.stat().st_mtime)
        run_id = json.loads(before.read_text(encoding="utf-8"))["run_id"]
        run = stagehand.folder / "actions" / run_id / "post-rollback"
        command = _program("act", str(before.parent), "--yes", *stagehand.target)
    else:
        command = _program("verify", *scene.arguments, f"--report-dir={run}", *stagehand.target, *more)
    say("opsverify " + " ".join(command[3:]))
    code = subprocess.run(command, check=False, cwd=REPOSITORY).returncode
    try:
        verdict = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
        report = opsverify("report", str(run)).strip()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        return Played(scene, code, {}, f"no report: {error}")
    return Played(scene, code, verdict, report)


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "opsverify", *arguments]


def _print_table(played: list[Played]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for the end
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title="opsverify demo: expected and obtained verdicts")
    for column in ("", "scene", "stage", "expected", "obtained", "", "why"):
        table.add_column(column)
    for entry in played:
        scene, verdict = entry.scene, entry.verdict
        table.add_row(
            scene.letter,
            scene.what,
            scene.stage,
            f"{scene.decision} ({scene.exit_code})",
            f"{verdict.get('decision', 'no verdict')} ({entry.exit_code})",
            "ok" if entry.as_expected else "NOT AS EXPECTED",
            escape(_why(verdict)),
        )
    console = Console()
    Console(width=console.width if console.is_terminal else PLAIN_WIDTH).print(table)
    for entry in played:
        sys.stdout.write(f"  ({entry.scene.letter}) {entry.report}\n")


def _why(verdict: dict[str, Any]) -> str:
    """What failed, each check in short; else the first reason; else what was executed."""
    failed = {check["id"] for check in verdict.get("checks", ()) if check["outcome"] == "fail"}
    reasons = verdict.get("reasons") or [
        f"{verdict.get('executed')} of {verdict.get('planned')} checks executed, none failed"
    ]
    shown = [reason for reason in reasons if reason.partition(": ")[0] in failed] or reasons[:1]
    return "\n".join(textwrap.shorten(reason, 110) for reason in shown)


if __name__ == "__main__":
    sys.exit(main())
