"""PostgreSQL's tools: where they are found, how they are run, and the arithmetic of RPO and RTO."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.postgres import tools as tools_module
from opsverify.recovery.postgres.tools import (
    BIN_VARIABLE,
    NEEDED,
    find_tools,
    for_account,
    may_enter,
    run_tool,
    unprivileged,
)
from opsverify.recovery.rpo.objectives import rpo, rto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = dt.datetime(2026, 11, 22, 20, 0, tzinfo=dt.UTC)


def _fake_tools(folder: Path, version: str) -> Path:
    for name in NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def _look_again() -> Iterator[None]:
    find_tools.cache_clear()
    yield
    find_tools.cache_clear()


def test_the_wheels_tools_are_found() -> None:
    """With the version asked for."""
    tools = find_tools(18)
    assert tools.major == 18
    assert "(PostgreSQL) 18" in tools.run("pg_waldump", "--version").stdout


def test_the_persons_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person names is taken when it is of the right version."""
    monkeypatch.setenv(BIN_VARIABLE, str(_fake_tools(tmp_path, "18.9")))
    assert find_tools(18).folder == tmp_path


def test_a_folder_of_another_version_or_incomplete_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH serves when the named folder has another major version."""
    named, on_path = tmp_path / "named", tmp_path / "path"
    for folder in (named, on_path):
        folder.mkdir()
    monkeypatch.setenv(BIN_VARIABLE, str(_fake_tools(named, "98.1")))
    monkeypatch.setenv("PATH", str(_fake_tools(on_path, "99.2")), prepend=":")
    assert find_tools(99).folder == on_path
    (on_path / "pg_waldump").unlink()
    find_tools.cache_clear()
    with pytest.raises(Inconclusive, match="no pg_waldump"):
        find_tools(99)


def test_no_tools_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where was looked, what to install, what to set."""
    monkeypatch.delenv(BIN_VARIABLE, raising=False)
    with pytest.raises(Inconclusive, match=rf"no tools of PostgreSQL 99 .*postgresql-99 .*{BIN_VARIABLE}") as caught:
        find_tools(99)
    assert "\n" not in str(caught.value)


def test_a_run_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output, status and environment: English, UTC, no PG* of ours."""
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    done = run_tool(("/bin/sh", "-c", 'echo "$LC_ALL $TZ [$PGPASSWORD]"; echo oops >&2; exit 3'))
    assert (done.exit_code, done.stdout, done.last_line) == (3, "C UTC []\n", "oops")
    assert "exit 3" in done.transcript


@pytest.mark.parametrize(
    ("argv", "message"), [(("/bin/sleep", "9"), "timed out after 0.1 s"), (("/no/such/tool",), "cannot be run")]
)
def test_a_tool_that_hangs_or_is_not_there_is_inconclusive(argv: tuple[str, ...], message: str) -> None:
    """Neither is an answer."""
    with pytest.raises(Inconclusive, match=message):
        run_tool(argv, timeout_s=0.1)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself")
def test_tools_in_a_closed_folder_are_copied(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's private virtual environment does not keep the unprivileged account from PostgreSQL."""
    cache = scratch / "cache"
    monkeypatch.setattr(tools_module, "_SYSTEM_CACHE", cache)
    private = scratch / "private" / "pg" / "bin"
    private.mkdir(parents=True)
    (scratch / "private").chmod(0o700)
    tools = type(find_tools(18))(_fake_tools(private, "18.1"), 18, "test")
    account = unprivileged()
    assert account is not None
    assert not may_enter(account, private)
    copied = for_account(tools, account, scratch)
    assert may_enter(account, copied.folder)
    assert copied.run("psql", account=account).stdout == "psql (PostgreSQL) 18.1\n"
    assert for_account(tools, account, scratch) == copied
    assert copied.folder.is_relative_to(cache)
    assert sorted(path.name for path in scratch.iterdir()) == ["cache", "private"]


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself")
def test_a_copy_that_was_never_finished_is_in_nobodys_way(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of the same number was killed in its midst: containers begin to count anew, and keep their cache."""
    monkeypatch.setattr(tools_module, "_SYSTEM_CACHE", scratch / "cache")
    private = scratch / "private" / "pg" / "bin"
    private.mkdir(parents=True)
    (scratch / "private").chmod(0o700)
    tools, account = type(find_tools(18))(_fake_tools(private, "18.1"), 18, "test"), unprivileged()
    for_account(tools, account, scratch)
    (copy,) = (scratch / "cache").iterdir()
    copy.rename(copy.with_name(f"{copy.name}.{os.getpid()}"))
    assert for_account(tools, account, scratch).run("psql", account=account).stdout == "psql (PostgreSQL) 18.1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself")
def test_copies_lie_in_scratch_where_the_system_has_no_cache(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only system keeps nobody from a drill."""
    (scratch / "file").touch()
    monkeypatch.setattr(tools_module, "_SYSTEM_CACHE", scratch / "file" / "cache")
    private = scratch / "private" / "pg" / "bin"
    private.mkdir(parents=True)
    (scratch / "private").chmod(0o700)
    copies = scratch / "copies"
    copies.mkdir(mode=0o755)
    account = unprivileged()
    copied = for_account(type(find_tools(18))(_fake_tools(private, "18.1"), 18, "test"), account, copies)
    assert copied.folder.is_relative_to(copies)
    assert copied.run("psql", account=account).stdout == "psql (PostgreSQL) 18.1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself")
def test_a_copy_of_the_wheel_brings_its_libraries(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of a wheel were linked with libraries that lie beside the package."""
    account = unprivileged()
    wheel = find_tools(18)
    monkeypatch.setattr(tools_module, "may_enter", lambda _account, folder: folder.is_relative_to(scratch))
    copied = for_account(wheel, account, scratch)
    for program in NEEDED:
        ran = copied.run(program, "--version", account=account)
        assert ran.exit_code == 0, ran.transcript


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs everything himself")
def test_a_folder_nobody_usual_may_read_is_inconclusive_for_root(scratch: Path) -> None:
    """The message says what to do."""
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Inconclusive, match="give one of them read access"):
        unprivileged(reading=closed)


def test_rpo_is_the_time_lost() -> None:
    """From the recovered point to the disaster; never negative."""
    assert rpo(AT, AT + dt.timedelta(minutes=12)).loss_s == 720.0
    with pytest.raises(Inconclusive, match="after the disaster"):
        rpo(AT, AT - dt.timedelta(seconds=1))


def test_rto_is_the_time_to_the_last_stage() -> None:
    """Validated if it got there, else read-write; stages in order."""
    assert rto(10.0, 12.5).total_s == 12.5
    assert rto(10.0, 12.5, 60.0).total_s == 60.0
    with pytest.raises(Inconclusive, match="out of order"):
        rto(10.0, 9.0)
