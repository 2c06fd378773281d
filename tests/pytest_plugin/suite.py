"""A whole project in a folder: suites, target and configuration, run as a person or a pipeline runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.ending import ending
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SECRET = "hunter2/Sëcret+key&42"
WAYS = ("cli", "cli-n2", "pytest", "pytest-n2")

PYPROJECT = """
[tool.pytest.ini_options]
testpaths = ["checks", "smoke", "dr_validation"]
addopts = ["--strict-markers", "--strict-config", "-p", "no:cacheprovider"]
markers = ["opsverify(spec): a check"]
"""
TARGET = """
name = "t"
environment = "staging"
language = "en"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
[services.a]
url = "http://127.0.0.1:9"
bearer = { env = "PLANTED_SECRET" }
[synthetic]
journeys = []
"""
HEADER = """
import logging, os, signal, sys
import pytest
from opsverify import Inconclusive, Limit, per, runbook

RATE = Limit.parse("< 1 %", "ratio")


def described(id, *lines, severity="sev2"):
    lines = lines or ("1-daily/llm",)
    return runbook(*lines, id=id, stages=("daily",), severity=severity, ko="점검", en="A check")
"""
WHOLE = """
@described(
    "t.whole", "1-daily/alerts", "1-daily/llm", "1-daily/dead-letters", "1-daily/mcp", "1-daily/stores"
)
def test_whole(check):
    check.measure("error rate", 0.002, RATE, samples=4120, of="of 4,120 requests failed")
"""
PINNED = """
["t.whole"]
test = "test_whole.py::test_whole"
stages = ["daily"]
lines = ["1-daily/alerts", "1-daily/llm", "1-daily/dead-letters", "1-daily/mcp", "1-daily/stores"]
severity = "sev2"
ko = "점검"
en = "A check"
"""


@dataclass(frozen=True)
class Ran:
    """What one run left: exit code, output, and the verdict if one was written."""

    code: int
    out: str
    err: str
    verdict: dict[str, Any] | None
    folder: Path | None

    @property
    def reasons(self) -> str:
        """All reasons of the verdict in one text."""
        return "\n".join(self.verdict["reasons"]) if self.verdict else ""

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcomes by check id."""
        return {check["id"]: check["outcome"] for check in self.verdict["checks"]} if self.verdict else {}

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


@dataclass
class Suite:
    """A project folder under `root`."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path) -> Suite:
        """Write a project with one check that passes and carries out every line of the daily runbook."""
        for folder in ("checks", "smoke", "dr_validation", "targets"):
            (root / folder).mkdir(parents=True)
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "conftest.py").write_text((REPOSITORY / "conftest.py").read_text())
        suite = cls(root)
        suite.target()
        suite.checks("whole", WHOLE)
        (root / "checks" / "plan.toml").write_text(PINNED)
        return suite

    def target(self, more: str = "") -> None:
        """Write the target, with `more` TOML at its end."""
        (self.root / "targets" / "t.toml").write_text(TARGET + textwrap.dedent(more))

    def checks(self, name: str, body: str) -> None:
        """Write `checks/test_NAME.py`."""
        (self.root / "checks" / f"test_{name}.py").write_text(HEADER + textwrap.dedent(body))

    def command(self, way: str, args: Sequence[str] = (), *, stage: str = "daily", target: str = "t") -> list[str]:
        """The command line that runs a stage in one of `WAYS`, with pytest's `args`."""
        tool, _, workers = way.partition("-n")
        split = ["-n", workers] if workers else []
        if tool == "pytest":
            return [sys.executable, "-m", "pytest", f"--stage={stage}", f"--target={target}", *split, *args]
        return [sys.executable, "-m", "opsverify", "verify", stage, "--target", target, *split, "--", *args]

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment without what pytest put there, with the planted secret."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        return {**inherited, "PYTHONDONTWRITEBYTECODE": "1", "PLANTED_SECRET": SECRET, **self.variables}

    def start(self, command: Sequence[str], prepare: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Start a command in the project's folder."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,  # noqa: PLW1509 - limits are set in the child; no threads run here
        )

    def stopped_in(self, way: str, sign: str, number: signal.Signals) -> Ran:
        """Run a stage until a check has written the file `sign`, send the signal, and await the end."""
        process = self.start(self.command(way))
        while not (self.root / sign).exists():
            assert process.poll() is None, process.communicate()
            threading.Event().wait(0.05)
        process.send_signal(number)
        return self.ended(process)

    def run(
        self,
        way: str = "cli",
        args: Sequence[str] = (),
        prepare: Callable[[], None] | None = None,
        **named: str,
    ) -> Ran:
        """Run a stage to its end."""
        return self.ended(self.start(self.command(way, args, **named), prepare))

    def ended(self, process: subprocess.Popen[str]) -> Ran:
        """Await a started run and read what it left."""
        out, err = ending(process)
        folder = newest_run(self.root)
        return Ran(process.returncode, out, err, verdict_in(folder), folder)


def newest_run(root: Path) -> Path | None:
    """The folder of the run that began last in a project; None without any.

    Ids of two runs that began within one second differ in a number of chance: which is older, their files know.
    """
    runs = [(path.name.partition("-")[0], _begun_ns(path), path) for path in (root / "reports").glob("2*")]
    return max(runs)[-1] if runs else None


def _begun_ns(folder: Path) -> int:
    """When a run wrote its first file; 0 of one that wrote none."""
    path = folder / "run.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def verdict_in(folder: Path | None) -> dict[str, Any] | None:
    """The verdict in a run's folder; None without one."""
    path = folder / "verdict.json" if folder else None
    return json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else None


@dataclass(frozen=True)
class Case:
    """One way a run can go: what is added to the healthy project, and what must come of it.

    `decision` None means that no verdict is expected; `reason` must appear in the verdict's reasons, else on
    stderr.
    """

    name: str
    code: int
    decision: str | None
    reason: str = ""
    body: str = ""
    args: tuple[str, ...] = ()
    target: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    ways: tuple[str, ...] = ("cli",)
    outcome: str | None = None

    def __str__(self) -> str:
        return self.name
