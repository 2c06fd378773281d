"""The built wheel in an empty environment: a project made by `init` reaches its verdict, with suites of both."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from opsverify.config.project import cache_folder
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN_CHECK = """
from opsverify import Limit, runbook


@runbook("own/arithmetic", id="own.arithmetic", stages=("daily",), severity="sev3", ko="산술", en="Arithmetic")
def test_arithmetic(check):
    check.measure("sum", 1 + 1, Limit.parse("== 2", "count"))
"""
OWN_LINES = """
[[line]]
id = "own/arithmetic"
ko = "매일: 산술"
en = "Daily: arithmetic"
stages = ["daily"]

[[out_of_scope]]
line = "own/clock"
owner = "platform-oncall"
reason = "no database here"
since = 2026-11-01
"""


def uv() -> str | None:
    """The uv that `./run` uses, or one on PATH."""
    found = sorted(cache_folder().glob("uv-*/bin/uv"))
    return str(found[-1]) if found else shutil.which("uv")


def ran(*argv: object, cwd: Path, code: int = 0, bare: bool = True) -> str:
    """Run a program, in a bare environment unless it installs; its output. Fails unless it ends with `code`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment = kept if bare else os.environ
    done = subprocess.run(
        [str(part) for part in argv], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the built wheel and its locked dependencies, and nothing else."""
    program = uv()
    if program is None:
        pytest.skip("no uv: neither in the cache that ./run fills nor on PATH")
    home = tmp_path_factory.mktemp("wheel")
    ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home / "dist", cwd=REPOSITORY)
    export = (program, "export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes")
    (home / "locked.txt").write_text(ran(*export, cwd=REPOSITORY, bare=False), encoding="utf-8")
    ran(program, "venv", "--python", sys.executable, home / "env", cwd=home, bare=False)
    python, wheel = home / "env" / "bin" / "python", next((home / "dist").glob("*.whl"))
    ran(program, "pip", "install", "--python", python, "-c", home / "locked.txt", wheel, cwd=home, bare=False)
    return home / "env" / "bin"


class Health(BaseHTTPRequestHandler):
    """A service that answers its health endpoint."""

    def do_GET(self) -> None:
        """Answer 200 with a healthy status."""
        body = b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    """URL of a healthy service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(installed: Path, service: str, tmp_path: Path) -> Path:
    """A project made by `init`, whose target has one service and nothing else; with an own check and own lines."""
    folder = tmp_path / "my-shop"
    ran(installed / "opsverify", "init", folder, cwd=tmp_path)
    target = folder / "targets" / "my-shop.toml"
    text = re.sub(r"\[postgres\].*?\n\n", "", target.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = text.replace("https://my-shop.example.com", service).replace('absent = ["', 'absent = ["postgres", "')
    target.write_text(text, encoding="utf-8")
    (folder / "checks" / "test_arithmetic.py").write_text(OWN_CHECK, encoding="utf-8")
    with (folder / "runbook.toml").open("a", encoding="utf-8") as runbook:
        runbook.write(OWN_LINES)
    return folder


def test_a_verdict_with_built_in_and_own_checks(installed: Path, project: Path) -> None:
    """From a folder below the project: accept; own and built-in checks passed, what is out of scope says why."""
    printed = ran(installed / "opsverify", "verify", "daily", "--target", "my-shop", cwd=project / "checks")
    assert "ACCEPT  (exit 0;" in printed
    verdict = json.loads((project / "reports" / "latest" / "verdict.json").read_text(encoding="utf-8"))
    outcomes = {check["id"]: check["outcome"] for check in verdict["checks"]}
    assert outcomes["own.arithmetic"] == outcomes["health.service[my-shop]"] == "pass"
    assert outcomes["own.database_clock"] == "not_applicable"


@pytest.mark.parametrize("command", [("opsverify", "verify", "daily"), ("pytest", "--stage=daily")], ids=lambda c: c[0])
def test_checks_in_processes(installed: Path, project: Path, command: tuple[str, ...]) -> None:
    """Every process finds the built-in suites, which do not lie in the project: the verdict is that of one process."""
    name, *arguments = command
    ran(installed / name, *arguments, "--target=my-shop", "-n", "2", cwd=project)
    verdict = json.loads((project / "reports" / "latest" / "verdict.json").read_text(encoding="utf-8"))
    outcomes = {check["id"]: check["outcome"] for check in verdict["checks"]}
    assert outcomes["own.arithmetic"] == outcomes["health.service[my-shop]"] == "pass"


def test_from_anywhere_by_the_targets_file(installed: Path, project: Path, tmp_path: Path) -> None:
    """A target file names its project: own checks are planned from another folder, where nothing is written."""
    target = project / "targets" / "my-shop.toml"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plan = json.loads(ran(installed / "opsverify", "plan", "daily", "--json", "--target", target, cwd=elsewhere))
    assert "own.arithmetic" in {check["id"] for check in plan["checks"]}
    ran(installed / "opsverify", "verify", "daily", "--target", target, cwd=elsewhere)
    assert not list(elsewhere.iterdir())


def test_plain_pytest_in_the_project(installed: Path, project: Path) -> None:
    """The folder's conftest.py loads the plugin; the exit code is the verdict's."""
    ran(installed / "pytest", "--stage=daily", "--target=my-shop", cwd=project)


def test_a_sandbox_without_its_extra(installed: Path, tmp_path: Path) -> None:
    """One line that names what to install, exit 4."""
    ran(installed / "opsverify", "sandbox", "up", cwd=tmp_path, code=4)
    assert not list(tmp_path.iterdir())


def test_a_fault_of_the_own_runbook(installed: Path, project: Path) -> None:
    """File, key and the nearest name; nothing runs."""
    with (project / "runbook.toml").open("a", encoding="utf-8") as runbook:
        runbook.write('[[out_of_scope]]\nline = "1-daily/llms"\nowner = "a"\nreason = "b"\nsince = 2026-11-01\n')
    ran(installed / "opsverify", "verify", "daily", "--target", "my-shop", cwd=project, code=4)
