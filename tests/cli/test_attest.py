"""`opsverify attest`: one entry, or one line for each fault of the input and nothing signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.people.log import path_of, read
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def language() -> str:
    """Language of the target, quoted."""
    return '"en"'


@pytest.fixture
def project(tmp_path: Path, language: str) -> Path:
    """A project of one's own, with the sandbox's target."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").write_text("", encoding="utf-8")
    text = (REPOSITORY / "targets" / "sandbox.toml").read_text(encoding="utf-8")
    (tmp_path / "targets" / "t.toml").write_text(
        text.replace('"sandbox"', '"t"', 1).replace('"ko"', language, 1), encoding="utf-8"
    )
    return tmp_path


def test_an_item_is_signed_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Item, name, role and evidence are in the log of the target."""
    (project / "screen.png").write_bytes(b"x")
    target = str(project / "targets" / "t.toml")
    evidence = f"--evidence={project / 'screen.png'}"
    code = main(["attest", "1-weekly/cache", "--target", target, "--by", "kim", "--role", "L2", evidence])
    assert code == 0
    assert "1-weekly/cache" in capsys.readouterr().out
    (entry,) = read(path_of(project / "reports", "t")).entries
    assert (entry.item, entry.by, entry.role, list(entry.evidence)) == ("1-weekly/cache", "kim", "L2", ["screen.png"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["1-weekly/cash", "--by", "kim", "--role", "L2"], "'1-weekly/cash' is no runbook line; did you mean"),
        (["1-weekly/cache", "--role", "L2"], "missing --by"),
        (["1-weekly/cache", "--by", "kim", "--role", "L2", "--failed"], "--failed needs --note"),
        (["1-weekly/cache", "--by", "kim", "--role", "L2", "--observed-at", "2126-01-01T00:00:00Z"], "a past time"),
        (["1-weekly/cache", "--by", "kim", "--role", "L2", "--valid-for", "soon"], "--valid-for"),
        (["1-weekly/cache", "--by", "kim", "--role", "L2", "--evidence", "no.png"], "--evidence no.png"),
    ],
)
def test_wrong_input_signs_nothing(
    arguments: list[str], told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4, one line."""
    assert main(["attest", *arguments, "--target", str(project / "targets" / "t.toml")]) == 4
    assert told in capsys.readouterr().err
    assert not (project / "reports").exists()


@pytest.mark.parametrize("language", ['"ko"'])
def test_a_stage_lists_what_it_wants(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the target's language, with the command to fill in."""
    assert main(["attest", "--list", "weekly", "--target", str(project / "targets" / "t.toml")]) == 0
    listed = capsys.readouterr().out
    assert "캐시 적중률 점검" in listed
    assert "opsverify attest 1-weekly/cache --target t --by '' --role ''" in listed
