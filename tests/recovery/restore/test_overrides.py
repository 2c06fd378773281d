"""Settings of a drill's server: each of PostgreSQL's is classified, and no file outside of the backup is read."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive
from opsverify.recovery.postgres.tools import find_tools
from opsverify.recovery.restore.configuration import Configuration
from opsverify.recovery.restore.overrides import OVERRIDES, classify, overrides, own_settings, session_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_setting_of_a_server_is_classified(whole_source: Callable[..., list[tuple[str, str]]]) -> None:
    """A new setting is overridden, or kept on purpose: none goes unseen."""
    listed = whole_source("SELECT name, category FROM pg_settings", {})
    assert len(listed) > 350
    assert [name for name, group in listed if classify(name, group) is None] == []


def test_overrides_exist_and_are_accepted(whole_source: Callable[..., list[tuple[str, str]]]) -> None:
    """Each is a setting of the server that it is meant for; the server starts with them in every drill."""
    names = {name.lower() for name, _ in whole_source("SELECT name, category FROM pg_settings", {})}
    assert [name for name in overrides(18) if name not in names] == []


@pytest.mark.parametrize("major", [13, 14, 15, 16, 17])
def test_older_versions_are_classified_too(major: int) -> None:
    """Their settings by name and group, as the program lists them without a server."""
    try:
        tools = find_tools(major)
    except Inconclusive as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        [tools.path("postgres"), "--describe-config"], capture_output=True, text=True, check=True, cwd="/"
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if classify(row[0], row[2]) is None] == []
    unknown = {name for name in overrides(major) if name not in {row[0].lower() for row in rows}}
    # Developer options are not listed there.
    assert unknown <= {
        "zero_damaged_pages", "ignore_checksum_failure", "ignore_system_indexes", "ignore_invalid_pages",
        "pre_auth_delay", "post_auth_delay", "wal_consistency_checking", "allow_system_table_mods",
    }  # fmt: skip


def test_sessions_get_only_options_of_their_version() -> None:
    """An unknown one would refuse every session."""
    assert "transaction_timeout" not in session_options(16)
    assert "-c transaction_timeout=0" in session_options(17)
    assert "event_triggers" not in session_options(16)
    assert r"read\ committed" in session_options(13)


def test_own_settings_stay_inside() -> None:
    """A target may preload a library; it may not archive, listen, or hide damage."""
    assert own_settings({"shared_preload_libraries": "timescaledb", "jit": True, "work_mem": 4096}) == {
        "shared_preload_libraries": "timescaledb", "jit": "on", "work_mem": "4096",
    }  # fmt: skip
    for name in ("archive_mode", "Archive_Command", "port", "zero_damaged_pages", "recovery_target_time"):
        with pytest.raises(Inconclusive, match="cannot be chosen"):
            own_settings({name: "on"})


CONF = """
# a comment with include 'x'
listen_addresses = '*'  # all
Shared_Preload_Libraries='timescaledb, pg_cron'
statement_timeout 1000
work_mem=1GB
include_dir 'conf.d'
include_if_exists '/etc/opsverify-nowhere/one.conf'
app.name = 'it''s'
"""


def test_overridden_lines_are_taken_out_and_named(tmp_path: Path) -> None:
    """In every file inside of the backup; what is kept stays as it was."""
    (tmp_path / "postgresql.conf").write_text(CONF)
    (tmp_path / "postgresql.auto.conf").write_text("huge_pages = 'on'\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "more.conf").write_text("ssl = on\nmax_connections = 300\n")
    taken = Configuration(tmp_path, OVERRIDES.keys() | {"listen_addresses"}).clean()
    assert taken == (
        "listen_addresses = '*' (postgresql.conf line 3)",
        "shared_preload_libraries = 'timescaledb, pg_cron' (postgresql.conf line 4)",
        "statement_timeout = '1000' (postgresql.conf line 5)",
        "work_mem = '1GB' (postgresql.conf line 6)",
        "ssl = 'on' (conf.d/more.conf line 1)",
        "include_if_exists '/etc/opsverify-nowhere/one.conf' (postgresql.conf line 8): outside of the backup, not read",
        "huge_pages = 'on' (postgresql.auto.conf line 1)",
    )
    assert "\nmax_connections = 300\n" in (tmp_path / "conf.d" / "more.conf").read_text()
    assert "\napp.name = 'it''s'\n" in (tmp_path / "postgresql.conf").read_text()
    assert Configuration(tmp_path, OVERRIDES.keys()).clean() == ()


def test_an_include_that_is_missing_is_this_machines(tmp_path: Path) -> None:
    """What it would set is not known; a target may say that it does not matter."""
    (tmp_path / "postgresql.conf").write_text("include '/etc/opsverify-nowhere/main.conf'\n")
    with pytest.raises(Inconclusive, match=r"include '/etc/opsverify-nowhere/main.conf' .* missing on this machine"):
        Configuration(tmp_path, ()).clean()
    (tmp_path / "postgresql.conf").write_text("include '/etc/opsverify-nowhere/main.conf'\n")
    (line,) = Configuration(tmp_path, ()).clean(skip_missing=True)
    assert "not read" in line


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    """As PostgreSQL, which refuses them."""
    (tmp_path / "postgresql.conf").write_text("include 'postgresql.conf'\nssl = on\n")
    assert Configuration(tmp_path, {"ssl"}).clean() == ("ssl = 'on' (postgresql.conf line 2)",)
