"""`opsverify rights` on a real database: the list is written once, and each difference is shown and decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.core.exit_codes import ExitCode
from opsverify.rights.declared import load
from tests.support.primary import PORT
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rights.conftest import RightsServer

GRANT, REVOKE = "GRANT SELECT ON salaries TO lee", "REVOKE SELECT ON salaries FROM lee"
FOUND = "+ lee: SELECT ON TABLE public.salaries, granted by postgres"


@pytest.fixture
def target(rights: RightsServer, tmp_path: Path) -> Path:
    """A target on that server, with the list beside it."""
    return target_file(tmp_path, str(rights.home / "p"))


def target_file(folder: Path, host: str, declared: str = '[rights]\ndeclared = "rights.toml"\n') -> Path:
    """The target file of a database at `host`."""
    path = folder / "t.toml"
    path.write_text(
        SMALLEST.replace('"postgres", ', "")
        + f'{declared}[postgres]\nhost = "{host}"\nport = {PORT}\ndbname = "postgres"\nsslmode = "disable"\n'
        '[postgres.login]\nuser = "reader"\n',
        encoding="utf-8",
    )
    return path


def command(action: str, target: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, list[str], str]:
    """Exit code, lines and errors of `opsverify rights`."""
    code = main(["rights", action, "--target", str(target), *more])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_the_list_is_written_once(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was captured is no difference; a second capture leaves the file as it is, and is no error."""
    path = target.parent / "rights.toml"
    code, lines, _ = command("capture", target, capsys)
    assert code == ExitCode.PASSED
    assert len(lines) == 1
    assert "written, rights of" in lines[0]
    assert "lee" in load(path).roles
    before = path.read_bytes()
    for action in ("compare", "capture"):
        assert command(action, target, capsys)[:2] == (ExitCode.PASSED, [f"{path}: 0 differences"])
    assert path.read_bytes() == before


def test_more_and_less_than_declared_hold(
    target: Path, rights: RightsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each; what a captured list has and the database no longer has is shown too."""
    path = target.parent / "rights.toml"
    command("capture", target, capsys)
    rights.run(GRANT)
    try:
        assert command("compare", target, capsys)[:2] == (ExitCode.HOLD, [FOUND, f"{path}: 1 differences"])
        before = path.read_bytes()
        code, lines, _ = command("capture", target, capsys)
        assert code == ExitCode.HOLD
        assert lines == [FOUND, f"{path}: 1 differences; nothing was written: review them, then --replace"]
        assert path.read_bytes() == before
        code, lines, _ = command("capture", target, capsys, "--replace")
        assert code == ExitCode.PASSED
        assert lines[0] == FOUND
        assert "written, rights of" in lines[1]
        assert command("compare", target, capsys)[0] == ExitCode.PASSED
    finally:
        rights.run(REVOKE)
    code, lines, _ = command("compare", target, capsys)
    assert code == ExitCode.HOLD
    assert lines[0].startswith("- lee: SELECT ON TABLE public.salaries")


def test_differences_are_told_in_the_language_that_was_asked_for(
    target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Korean by option, though the target's language is English."""
    command("capture", target, capsys)
    code, lines, _ = command("compare", target, capsys, "--language", "ko")
    assert (code, "차이" in lines[0]) == (ExitCode.PASSED, True)


def test_without_a_list_nothing_is_compared(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error that names the file, and no list is made on the way."""
    code, lines, err = command("compare", target, capsys)
    assert (code, lines) == (ExitCode.USAGE, [])
    assert str(target.parent / "rights.toml") in err
    assert not (target.parent / "rights.toml").exists()


def test_a_damaged_list_is_not_replaced_unread(target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read cannot be compared: it stays, also with --replace."""
    path = target.parent / "rights.toml"
    path.write_text("schema = 5", encoding="utf-8")
    code, lines, err = command("capture", target, capsys, "--replace")
    assert (code, lines) == (ExitCode.USAGE, [])
    assert "schema is 5" in err
    assert path.read_text(encoding="utf-8") == "schema = 5"


def test_a_target_that_names_no_list_says_what_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys to write, before anything is contacted."""
    path = target_file(tmp_path, "/nowhere", declared="")
    path.write_text(path.read_text().replace('absent = ["', 'absent = ["rights", "'), encoding="utf-8")
    code, lines, err = command("capture", path, capsys)
    assert (code, lines) == (ExitCode.USAGE, [])
    assert 'add [rights] with declared = "rights.toml"' in err


def test_a_database_that_does_not_answer_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No list is written of rights that were not read."""
    code, lines, err = command("capture", target_file(tmp_path, str(tmp_path)), capsys)
    assert (code, lines) == (ExitCode.HOLD, [])
    assert "opsverify: " in err
    assert [one.name for one in tmp_path.iterdir()] == ["t.toml"]
