"""Output of the sandbox: in the language of its reader, and a home's errors as the home words them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.cli import main
from sandbox.errors import HomeError
from sandbox.home import Settings, load_settings, locked
from sandbox.said import HOME, message_of

if TYPE_CHECKING:
    from pathlib import Path


def _errors(folder: Path) -> list[HomeError]:
    """Every error that a home can be refused with."""
    garbled = folder / "garbled"
    garbled.mkdir()
    (garbled / "settings.json").write_text("{", encoding="utf-8")
    found = []
    for refused in (
        lambda: locked(folder / "none", "up").__enter__(),
        lambda: load_settings(folder),
        lambda: load_settings(garbled),
        lambda: Settings.build(folder, 0, folder),
    ):
        with pytest.raises(HomeError) as caught:
            refused()
        found.append(caught.value)
    return found


def test_the_errors_of_a_home_are_said_in_both_languages(tmp_path: Path) -> None:
    """The platform reads homes without the library, so each text stands twice: they are the same."""
    errors = _errors(tmp_path)
    assert {error.problem for error in errors} == set(HOME)
    assert [message_of(error).en for error in errors] == [str(error) for error in errors]
    assert all(message_of(error).ko != str(error) for error in errors)


@pytest.mark.parametrize(
    ("more", "locale", "said"),
    [
        ([], "ko_KR.UTF-8", "오류: "),
        ([], "C.UTF-8", "error: "),
        (["--language", "ko"], "C.UTF-8", "오류: "),
        (["--language", "en"], "ko_KR.UTF-8", "error: "),
    ],
)
def test_an_error_is_in_the_readers_language(
    more: list[str],
    locale: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--language` first, then the environment's."""
    monkeypatch.setenv("LC_ALL", locale)
    assert main(["backup", "--home", str(tmp_path), *more]) == 1
    assert capsys.readouterr().err.startswith(said)


def test_a_wrong_fault_is_told_before_the_sandbox_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its nearest name helps also where nothing runs yet; a right one is then told that nothing runs."""
    for name, said, code in (
        ("llm_unparsible", "did you mean llm_unparsable?", 4),
        ("llm_unparsable", "run 'sandbox up' first", 1),
    ):
        assert main(["fault", name, "--home", str(tmp_path / "none")]) == code
        assert said in capsys.readouterr().err
