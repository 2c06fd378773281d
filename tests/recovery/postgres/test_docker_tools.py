"""Tools out of the image `postgres:18`, where a Docker engine has one; a real drill is run with them.

Without a registry an image is made of a minimal Debian and the wheel's programs: see docs/dr.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.backup.base_backup import inspect, verify
from opsverify.recovery.postgres import tools as tools_module
from opsverify.recovery.postgres.docker_tools import engine_available
from opsverify.recovery.postgres.tools import find_tools, for_account, unprivileged
from opsverify.recovery.restore.pitr import RestorePlan, restore
from opsverify.recovery.restore.restored_server import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.wreck import Disaster

MAJOR = 18


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> Iterator[None]:
    """Look nowhere but at images, and keep what is taken out in a folder of the test's own."""
    monkeypatch.setattr(tools_module, "_folders", lambda _major: iter(()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(scratch / "cache"))
    find_tools.cache_clear()
    yield
    find_tools.cache_clear()


@pytest.mark.usefixtures("nothing_here")
def test_a_drill_runs_on_tools_from_an_image(disaster: Disaster, scratch: Path, port: int) -> None:
    """Verified, restored, promoted and written with programs, libraries and loader of the image alone."""
    if not engine_available():
        pytest.skip("no Docker engine available")
    import docker  # noqa: PLC0415 - slow to import

    try:
        docker.from_env().images.get(f"postgres:{MAJOR}")
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine with an image postgres:{MAJOR}: {str(error).splitlines()[0]}")
    tools = find_tools(MAJOR)
    assert tools.origin == f"image postgres:{MAJOR}"
    tools = for_account(tools, unprivileged(), scratch)
    assert verify(inspect(disaster.base, tools, disaster.archive), tools).ok
    destination = Destination(scratch / "data", scratch / "s", port)
    with restore(RestorePlan(disaster.base, disaster.archive, destination, disaster.between)) as server:
        assert str(server.server.tools.folder).startswith(str(scratch))
        assert server.server.row("SELECT count(*) FROM marks") == ["1"]


@pytest.mark.usefixtures("nothing_here")
def test_no_engine_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked for, and what to install."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    with pytest.raises(Inconclusive, match=r"image postgres:18: .*install postgresql-18") as caught:
        find_tools(MAJOR)
    assert "\n" not in str(caught.value)


def test_testcontainers_is_imported_only_when_needed() -> None:
    """It costs half a second, and most machines have the tools."""
    code = (
        "import sys; from opsverify.recovery.postgres.tools import find_tools; "
        f"find_tools({MAJOR}); print('docker' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert said.stdout.strip() == "False"
