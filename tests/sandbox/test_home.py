"""The home folder: settings, secrets, control file, target file."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox import SandboxError, home, target_file
from sandbox.home import Control, ControlState, Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Make settings of a home that nothing was started in."""
    return Settings.build(tmp_path, 20000, tmp_path / "data")


def test_ports_follow_the_contract(settings: Settings) -> None:
    """Every service has the offset that targets/sandbox.toml relies on."""
    assert settings.ports["edge"] == 20000
    assert settings.ports["postgres"] == 20006
    assert settings.ports["alertmanager"] == 20009


def test_settings_survive_a_round_trip(settings: Settings) -> None:
    """What is saved is what another process loads."""
    settings.save()
    assert home.load_settings(settings.home) == settings


def test_settings_file_holds_no_secret(settings: Settings) -> None:
    """settings.json names the secrets' files and never a value."""
    home.create_secrets(settings.secrets_dir)
    settings.save()
    text = (settings.home / "settings.json").read_text(encoding="utf-8")
    assert not any(settings.secret(name) in text for name in home.SECRETS)


@pytest.mark.parametrize("base", [0, -1, 65530, 70000])
def test_impossible_port_base_is_refused(tmp_path: Path, base: int) -> None:
    """A base whose ports do not all exist is one error that says what is possible."""
    with pytest.raises(SandboxError, match="expected 1 to 65522"):
        Settings.build(tmp_path, base, tmp_path)


def test_home_that_was_never_set_up(tmp_path: Path) -> None:
    """Loading an empty folder says what to type."""
    with pytest.raises(SandboxError, match="run 'sandbox up' first"):
        home.load_settings(tmp_path)


def test_broken_settings(tmp_path: Path) -> None:
    """A settings file that is not JSON is one error naming the file."""
    (tmp_path / "settings.json").write_text("{", encoding="utf-8")
    with pytest.raises(SandboxError, match=r"settings\.json is not JSON"):
        home.load_settings(tmp_path)


def test_secrets_are_private_random_and_kept(settings: Settings) -> None:
    """Each secret is a file of mode 0600, differs from the others, and outlives a second start."""
    home.create_secrets(settings.secrets_dir)
    first = {name: settings.secret(name) for name in home.SECRETS}
    home.create_secrets(settings.secrets_dir)
    assert len(set(first.values())) == len(home.SECRETS)
    assert first == {name: settings.secret(name) for name in home.SECRETS}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in settings.secrets_dir.iterdir()}
    assert modes == {0o600}


def test_signing_key_is_ed25519(settings: Settings) -> None:
    """The signing key can be loaded without a password and signs."""
    home.create_secrets(settings.secrets_dir)
    key = load_pem_private_key((settings.secrets_dir / home.SIGNING_KEY).read_bytes(), None)
    assert type(key).__name__ == "Ed25519PrivateKey"


def test_atomic_write_leaves_nothing_on_error(tmp_path: Path) -> None:
    """A text that cannot be encoded leaves the old file and no other."""
    path = tmp_path / "file"
    home.write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        home.write_atomic(path, "\ud800")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text(encoding="utf-8") == "old"


def test_control_defaults_without_a_file(tmp_path: Path) -> None:
    """A platform process that starts before the control file is there works with the defaults."""
    assert Control(tmp_path).read() == ControlState()


def test_control_is_seen_by_another_reader(tmp_path: Path) -> None:
    """Each write is seen by a reader that has read before, however fast they follow each other."""
    reader, writer = Control(tmp_path), Control(tmp_path)
    for rate in range(50):
        writer.write(ControlState(rate=rate))
        assert reader.read().rate == rate


def test_two_states_of_one_tick_are_told_apart(tmp_path: Path) -> None:
    """The third of three writes may have the inode of the first, and its time: none goes unseen for it."""
    control, path = Control(tmp_path), tmp_path / "control.json"
    control.write(ControlState(rate=1.0))
    lately = time.time_ns() + 3600 * 10**9  # lately, however long this test takes
    os.utime(path, ns=(lately, lately))
    assert control.read().rate == 1.0
    path.write_text(path.read_text(encoding="utf-8").replace("1.0", "2.0"), encoding="utf-8")
    os.utime(path, ns=(lately, lately))
    assert control.read().rate == 2.0


def test_control_reads_only_what_changed(tmp_path: Path) -> None:
    """An unchanged file costs no parsing: the very same state comes back."""
    control = Control(tmp_path)
    control.write(ControlState(faults={"latency": "canary"}))
    assert control.read() is control.read()


def test_control_file_follows_the_contract(tmp_path: Path) -> None:
    """The file has the shape that the platform's contract names."""
    Control(tmp_path).write(ControlState(rate=5.0, canary_share=0.1, faults={"latency": "canary"}))
    content = json.loads((tmp_path / "control.json").read_text(encoding="utf-8"))
    assert content == {
        "rate": 5.0,
        "canary_share": 0.1,
        "faults": {"latency": {"scope": "canary"}},
        "remedies": {},
        "canary_pods": ["canary"],
    }


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """Updates at the same time all arrive."""

    def add(name: str) -> None:
        Control(tmp_path).update(lambda state: replace(state, faults={**state.faults, name: "all"}))

    threads = [threading.Thread(target=add, args=(f"fault{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Control(tmp_path).read().faults) == 20


@pytest.mark.parametrize(
    ("scope", "track", "active"),
    [
        ("all", "stable", True),
        ("all", None, True),
        ("canary", "canary", True),
        ("canary", "stable", False),
        ("canary", None, True),
    ],
)
def test_fault_is_active_on_its_scope_only(scope: str, track: str | None, active: bool) -> None:  # noqa: FBT001
    """A fault on the canary leaves the stable track alone."""
    assert ControlState(faults={"latency": scope}).active("latency", track) is active


def test_fault_that_is_off_is_not_active() -> None:
    """No fault is active unless it was switched on."""
    assert not ControlState().active("latency", "canary")


def test_target_file_gets_ports_and_secrets_of_its_home(settings: Settings) -> None:
    """Every port and every path of the default sandbox is replaced, and nothing else."""
    template = (
        'url = "http://127.0.0.1:17404/messages"\nport = 17406\nsamples = 174060\n'
        'password = { file = "../.sandbox/secrets/redis" }\n'
    )
    assert target_file.filled(template, settings) == (
        'url = "http://127.0.0.1:20004/messages"\nport = 20006\nsamples = 174060\n'
        f'password = {{ file = "{settings.home}/secrets/redis" }}\n'
    )


def test_real_target_file_names_no_default_port(settings: Settings) -> None:
    """No port and no path of the default sandbox is left in the copy of targets/sandbox.toml."""
    said: list[str] = []
    target_file.write(settings, said.append)
    text = (settings.home / target_file.NAME).read_text(encoding="utf-8")
    assert not said
    assert "1740" not in text
    assert ".sandbox/" not in text
