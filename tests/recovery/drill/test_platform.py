"""A platform on the restored database: what is at fault when it does not serve, and that it uses no other database."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.config.load import load_target
from opsverify.config.platform import RehearsalPlatform
from opsverify.errors import Inconclusive, TargetError
from opsverify.recovery.drill.platform import start_platform
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server

WITH_POSTGRES = SMALLEST.replace('"postgres", ', "")
SERVES = """
import os, pathlib, signal, sys
home, target = pathlib.Path(sys.argv[1]), sys.argv[2]
(home / "pid").write_text(str(os.getpid()))
(home / "draft").write_text(target)
(home / "draft").replace(home / "target.toml")
signal.pause()
"""


def on(host: Path | str, port: int = 5432) -> str:
    """A target whose database is the one at `host`, which needs no password."""
    return (
        f'{WITH_POSTGRES}[postgres]\nhost = "{host}"\nport = {port}\ndbname = "postgres"\n'
        'login = { user = "postgres" }\nsslmode = "disable"\n'
    )


def serving(target: str, *clear_cache: str) -> RehearsalPlatform:
    """A platform that serves as `target` until it is stopped."""
    return RehearsalPlatform(run=(sys.executable, "-c", SERVES, "{home}", target), clear_cache=clear_cache)


@pytest.fixture
def server(whole: tuple[Server, Path]) -> Server:
    """Provide a real server in place of the drill's."""
    return whole[0]


def test_a_platform_serves_on_the_restored_database_and_ends_with_the_drill(server: Server, tmp_path: Path) -> None:
    """Its own target file is read, its commands get its folder, and none of its processes is left running."""
    command = 'import sys; open(sys.argv[1] + "/cleared", "w")'
    platform = serving(on(server.socket_dir), sys.executable, "-c", command, "{home}")
    with start_platform(platform, server, "postgres", tmp_path / "p") as started:
        pid = int((tmp_path / "p" / "pid").read_text(encoding="utf-8"))
        assert started.target.postgres is not None
        started.clear_cache()
        os.kill(pid, 0)
    assert (tmp_path / "p" / "cleared").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_platform_on_another_database_is_never_smoked(server: Server, second_server: Server, tmp_path: Path) -> None:
    """A start command without {port} leads to production: it is refused before any request is sent."""
    elsewhere = serving(on(second_server.socket_dir, second_server.port))
    with (
        pytest.raises(Inconclusive, match=r"not the restored one; no smoke was run; pass \{port\}"),
        start_platform(elsewhere, server, "postgres", tmp_path / "p"),
    ):
        pytest.fail("the platform was accepted")


def test_a_platform_that_names_no_database_is_never_smoked(server: Server, tmp_path: Path) -> None:
    """Where its smoke would write is not known."""
    with (
        pytest.raises(Inconclusive, match=r"missing \[postgres\] in target .*: its database is not known"),
        start_platform(serving(SMALLEST), server, "postgres", tmp_path / "p"),
    ):
        pytest.fail("the platform was accepted")


@pytest.mark.parametrize(
    ("run", "within", "reason"),
    [
        (("{home}/no-such-program",), "5m", r"could not be started: No such file"),
        ((sys.executable, "-c", "import sys; sys.exit('no image')"), "5m", r"does not serve: exit code 1: no image"),
        ((sys.executable, "-c", "import signal; signal.pause()"), "200ms", r"timed out after 200ms: no output"),
        ((sys.executable, "-c", SERVES, "{home}", "name = 3"), "5m", r"invalid target file: .*name"),
    ],
    ids=["missing", "dies", "hangs", "bad-target"],
)
def test_a_platform_that_does_not_serve_is_no_failure_of_the_backup(
    run: tuple[str, ...], within: str, reason: str, server: Server, tmp_path: Path
) -> None:
    """One line, with the last line of the program's output."""
    platform = RehearsalPlatform(run=run, within=within)
    with pytest.raises(Inconclusive, match=reason), start_platform(platform, server, "postgres", tmp_path / "p"):
        pytest.fail("the platform was accepted")


def test_a_cache_that_cannot_be_cleared_is_reported_with_the_commands_last_line(server: Server, tmp_path: Path) -> None:
    """Not cleared is not known to be cleared."""
    platform = serving(on(server.socket_dir), sys.executable, "-c", "import sys; sys.exit('redis refused')")
    with (
        start_platform(platform, server, "postgres", tmp_path / "p") as started,
        pytest.raises(Inconclusive, match=r"clear_cache: .*exit code 1: redis refused"),
    ):
        started.clear_cache()


def test_a_smoke_that_ends_without_a_verdict_is_reported(server: Server, tmp_path: Path) -> None:
    """Its folder holds foreign files: the run never begins, and its output says why."""
    (tmp_path / "foreign").write_text("", encoding="utf-8")
    with (
        start_platform(serving(on(server.socket_dir)), server, "postgres", tmp_path / "p") as started,
        pytest.raises(Inconclusive, match=r"no verdict: exit code 4: .*holds files of no opsverify run"),
    ):
        started.smoke(tmp_path)


def test_an_unknown_placeholder_is_refused_when_the_target_is_read(tmp_path: Path) -> None:
    """`{prot}` would be passed to the program as it is."""
    path = tmp_path / "t.toml"
    more = "[recovery]\nbase_backup = 'b'\nwal_archive = 'w'\nledger = 'l'\nplatform = { run = ['x', '{prot}'] }\n"
    path.write_text(SMALLEST.replace(', "recovery"', "") + more, encoding="utf-8")
    with pytest.raises(TargetError, match=r"recovery\.platform: no value for \{prot\}: expected \{port\}"):
        load_target(path)
