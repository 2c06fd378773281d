"""`opsverify sandbox regions` by hand: what it says where there is nothing to act on, or a port is taken."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from sandbox.cli import main
from sandbox.regions.ground import RESOLVERS, SERVICES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("step", ["status", "promote", "rewind", "switchback"])
def test_regions_that_are_not_up_are_said(step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what to type, and exit 1."""
    assert main(["regions", step, "--home", str(tmp_path)]) == 1
    assert "run 'sandbox regions up' first" in capsys.readouterr().err


def test_down_without_regions_is_no_error(tmp_path: Path) -> None:
    """What is not there is stopped already."""
    assert main(["regions", "down", "--home", str(tmp_path)]) == 0


def test_a_port_in_use_is_named_and_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The port and its service are named before anything is started, and no file stays behind."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = server.getsockname()[1] - SERVICES.index(RESOLVERS[1])
        assert main(["regions", "up", "--home", str(tmp_path), "--port-base", str(base)]) == 1
    assert "is in use: choose another base" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "regions").iterdir() if not path.name.startswith(".")] == []
