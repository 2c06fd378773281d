"""Secrets typed into a target, and files of a run: refused without being shown, and private."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.config.load import load_target
from opsverify.errors import TargetError
from opsverify.evidence.files import restrict
from tests.pytest_plugin.suite import TARGET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pytest_plugin.suite import Suite


TYPED: Final = {
    "bearer": ('bearer = "hunter2-planted"', '[services.b]\nurl = "https://b.example.com"\n'),
    "password": ('password = "hunter2-planted"', '[redis]\nhost = "r"\n'),
    "in a login": ('login = { user = "u", password = "hunter2-planted" }', '[postgres]\nhost = "h"\ndbname = "d"\n'),
    "a login as text": ('login = "u:hunter2-planted"', '[postgres]\nhost = "h"\ndbname = "d"\n'),
    "a list": ('bearer = ["hunter2-planted"]', '[services.b]\nurl = "https://b.example.com"\n'),
    "a table of another form": ('bearer = { value = "hunter2-planted" }', '[services.b]\nurl = "https://b"\n'),
    "env that is no name": ('bearer = { env = "hunter2-planted" }', '[services.b]\nurl = "https://b"\n'),
    "signing key": ('signing_key = "hunter2-planted"', "[evidence]\n"),
    "an unknown key": ('api_key = "hunter2-planted"', '[services.b]\nurl = "https://b"\n'),
    "a header": ('headers = { Authorization = "Bearer hunter2-planted" }', "[inbox]\n"),
    "in a URL": ('url = "http://ops:hunter2-planted@host"', "[services.b]\n"),
    "a name in a URL": ('url = "http://hunter2-planted@host"', "[services.b]\n"),
    "in a URL of a wrong scheme": ('url = "ftp://ops:hunter2-planted@host"', "[services.b]\n"),
    "in a query": ('url = "https://host/?token=hunter2-planted"', "[services.b]\n"),
    "in a proxy": ("", 'proxy = "http://me:hunter2-planted@proxy"\n'),
    "in a connection string": ('dsn = "host=h password=hunter2-planted"', "[postgres]\n"),
    "in a step": ('run = ["curl", "https://me:hunter2-planted@host/"]\nrunbook = "2-4"', "[[actions.rollback]]\n"),
}
"""A secret where a reference, or nothing, belongs."""


@pytest.mark.parametrize("name", TYPED)
def test_a_typed_secret_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    """Whatever is wrong with the file besides, no line of the error holds the secret."""
    line, table = TYPED[name]
    text = TARGET.replace('"redis", ', "") if "[redis]" in table else TARGET
    text = text.replace('absent = ["', f'{table}absent = ["') if not line else f"{text}\n{table}{line}\n"
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert "hunter2-planted" not in str(caught.value)
    assert "hunter2" not in "".join(caught.value.problems)


def test_references_are_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """References, `git@` in an SSH URL of a step, and placeholders are accepted."""
    monkeypatch.setenv("PLANTED_SECRET", "something-long")
    path = tmp_path / "t.toml"
    path.write_text(
        TARGET
        + '\n[[actions.rollback]]\nrun = ["git", "clone", "ssh://git@host/x", "password={run_id}"]\nrunbook = "2-4"\n'
    )
    target, secrets = load_target(path)
    assert target.actions.rollback[0].run[2] == "ssh://git@host/x"
    assert secrets.values == {"something-long"}


def _set_umask(umask: int) -> None:
    os.umask(umask)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("key", "folder", "file"), [("", 0o700, 0o600), ('readable_by = "group"', 0o750, 0o640)])
def test_files_of_a_run_are_private(suite: Suite, umask: int, key: str, folder: int, file: int) -> None:
    """Every file of a run is 0600 in a 0700 folder, whatever the umask, unless the target says otherwise."""
    if key:
        suite.target(f"[evidence]\n{key}\n")
    ran = suite.run("cli", prepare=lambda: _set_umask(umask))
    assert ran.code == 0, str(ran)
    assert ran.folder is not None
    assert stat.S_IMODE(ran.folder.stat().st_mode) == folder
    modes = {
        path.relative_to(ran.folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in ran.folder.rglob("*")
    }
    assert {name: oct(mode) for name, mode in modes.items() if mode not in (folder, file)} == {}
    restrict(ran.folder)
