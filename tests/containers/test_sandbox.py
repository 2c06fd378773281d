"""Sandbox with its servers in containers: the same target, the same verdicts, and nothing left of it."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.probes.eventually import eventually
from sandbox import Sandbox, SandboxError, network
from sandbox.containers import COMPONENT_LABEL, LABEL
from sandbox.home import CONTAINERS, PROCESSES, SERVICES, load_settings
from tests.support.engine import containers_of, volumes, volumes_of
from tests.support.paths import REPOSITORY
from tests.support.standin import RATES, Standin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

pytestmark = pytest.mark.usefixtures("server_images")


@pytest.fixture(scope="module")
def contained(server_images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:  # noqa: ARG001
    """A sandbox in containers, up, backed up and recorded; when it is down, the engine has nothing of it."""
    folder = tmp_path_factory.mktemp("contained")
    base = network.free_port_base(len(SERVICES))
    with Sandbox(folder / "home", base, rate=RATES["daily"], provider=CONTAINERS) as sandbox:
        running = Standin(sandbox, folder)
        running.prepare_recovery()
        yield running
        data, asked_for = sandbox.settings.data_dir, volumes_of(sandbox.home)
    assert containers_of(sandbox.home) == []
    assert not asked_for & volumes()
    assert not data.exists()


def run_sandbox(home: Path, *words: str) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-m", "opsverify", "sandbox", *words, f"--home={home}", "--language=en"]


def test_daily_and_a_stopped_container(contained: Standin, docker: DockerClient) -> None:
    """Daily accepts; the container of Redis is killed, and exactly what needs it turns red; `up` starts it again."""
    sandbox = contained.sandbox
    contained_ones = {name for name, state in sandbox.status().items() if "container" in state}
    assert contained_ones == {"postgres", "redis", "prometheus", "alertmanager"}
    accepted = contained.verify("daily")
    assert accepted.exit_code == 0, accepted.story
    (redis,) = docker.containers.list(filters={"label": [f"{LABEL}={sandbox.home}", f"{COMPONENT_LABEL}=redis"]})
    redis.kill()
    assert sandbox.status()["redis"] == "stopped"
    rejected = contained.verify("daily")
    assert rejected.exit_code == 1, rejected.story
    assert "Redis 127.0.0.1" in rejected.printed
    with pytest.raises(SandboxError, match="run as containers, not as processes"):
        Sandbox(sandbox.home, provider=PROCESSES).up()
    sandbox.up()
    assert "container" in sandbox.status()["redis"]
    assert redis.id not in containers_of(sandbox.home), "the one that ended is removed"


def test_rehearsal(contained: Standin, docker: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Backup and WAL archive of a contained PostgreSQL are restored; the restored platform's servers are contained."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    arguments = contained.arguments("rehearsal")
    done = contained.verify("rehearsal", *arguments, target=contained.target_with_platform)
    assert done.exit_code == 0, done.story
    started = docker.events(since=began, until=dt.datetime.now(dt.UTC), filters={"event": "start"}, decode=True)
    labels = [event["Actor"]["Attributes"] for event in started]
    # Other sandboxes of these tests are in there, those of other workers too: each has a folder of its own in it.
    own = tmp_path_factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    restored = [of for of in labels if LABEL in of and not Path(of[LABEL]).is_relative_to(base)]
    assert {of[COMPONENT_LABEL] for of in restored} == {"redis", "prometheus", "alertmanager"}
    assert not any(containers_of(Path(of[LABEL])) for of in restored)


def test_what_a_killed_start_left_is_removed(tmp_path: Path) -> None:
    """`up` is killed while it starts its containers: `down` finds them by their label."""
    base = network.free_port_base(len(SERVICES))
    start = subprocess.Popen(
        [*run_sandbox(tmp_path, "up", "--provider=containers"), f"--port-base={base}"], cwd=REPOSITORY,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        left = eventually(lambda: containers_of(tmp_path), bool, deadline_s=180, every_s=0.02, what="a container")
    finally:
        start.send_signal(signal.SIGKILL)
        start.wait(60)
    assert left
    assert load_settings(tmp_path).provider == CONTAINERS
    down = subprocess.run(run_sandbox(tmp_path, "down"), cwd=REPOSITORY, check=False, timeout=180)
    assert down.returncode == 0
    assert containers_of(tmp_path) == []


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OPSVERIFY_REDIS_IMAGE", "localhost:9/no/such:1", "image localhost:9/no/such:1 cannot be had"),
        ("DOCKER_HOST", "tcp://192.0.2.1:2375", "may be another machine's"),
    ],
)
def test_what_cannot_be_had_is_one_line(tmp_path: Path, variable: str, value: str, said: str) -> None:
    """An image, an engine of this machine: exit 4, before anything is started."""
    done = subprocess.run(
        run_sandbox(tmp_path, "up", "--provider=containers"), cwd=REPOSITORY, env=os.environ | {variable: value},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
