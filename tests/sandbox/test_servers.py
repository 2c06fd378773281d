"""Provider of servers: which one is taken, and what is said where there is no engine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox, SandboxError
from sandbox.containers import IMAGES, ServerContainers, image_of
from sandbox.errors import WrongUsage
from sandbox.home import CONTAINERS, PROCESSES, PROVIDER_VARIABLE, Settings, load_settings
from sandbox.processes import Table
from sandbox.server_processes import ServerProcesses
from sandbox.servers import known_provider, servers_of
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def test_provider_is_kept_in_the_settings(tmp_path: Path) -> None:
    """Every later command starts servers as `up` did; settings of an earlier version mean processes."""
    settings = Settings.build(tmp_path, 17400, tmp_path)
    assert isinstance(servers_of(settings, Table(tmp_path)), ServerProcesses)
    replace(settings, provider=CONTAINERS).save()
    assert isinstance(servers_of(load_settings(tmp_path), Table(tmp_path)), ServerContainers)
    file = tmp_path / "settings.json"
    file.write_text(file.read_text().replace('"provider"', '"unknown"'))
    assert load_settings(tmp_path).provider == PROCESSES


def test_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given beats the variable; a variable that means nothing is refused."""
    monkeypatch.setenv(PROVIDER_VARIABLE, CONTAINERS)
    assert known_provider(None) == CONTAINERS
    assert known_provider(PROCESSES) == PROCESSES
    monkeypatch.setenv(PROVIDER_VARIABLE, "pods")
    with pytest.raises(WrongUsage, match=r"\$OPSVERIFY_SANDBOX_PROVIDER is pods: expected processes or containers"):
        known_provider(None)
    monkeypatch.delenv(PROVIDER_VARIABLE)
    assert known_provider(None) == PROCESSES


def test_official_images_unless_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable a component."""
    for component in IMAGES:
        monkeypatch.delenv(f"OPSVERIFY_{component.upper()}_IMAGE", raising=False)
    assert {component: image_of(component) for component in IMAGES} == {
        "postgres": "postgres:18",
        "redis": "redis:8",
        "prometheus": "prom/prometheus",
        "alertmanager": "prom/alertmanager",
    }
    monkeypatch.setenv("OPSVERIFY_REDIS_IMAGE", "registry.example/redis:8.2")
    assert image_of("redis") == "registry.example/redis:8.2"


def test_no_engine_is_one_line_and_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 4, what was looked for, what to do; nothing was started, and nothing has to be stopped."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "up", "--provider=containers", f"--home={tmp_path}", "--language=en"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == (
        f"error: no Docker engine at unix://{tmp_path}/none (No such file or directory); start one, set DOCKER_HOST, "
        "or start the sandbox without --provider containers\n"
    )
    Sandbox(tmp_path).down()


def test_an_engine_that_went_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's state is not guessed: without the engine that has it no command goes on."""
    (tmp_path / "state.json").write_text('{"processes": {"redis": {"container": "0123456789abcdef"}}}')
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(SandboxError, match="no Docker engine at"):
        Sandbox(tmp_path).status()


def test_processes_load_no_client_of_an_engine() -> None:
    """It costs half a second, at every command of the sandbox."""
    code = "import sys; import sandbox.core; print('docker' in sys.modules, 'testcontainers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
