"""`opsverify attest`: one entry, or one line for each fault of the input and nothing signed."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.core.runbook import lines_of
from opsverify.core.stages import Outcome
from opsverify.language.message import as_message
from opsverify.people.attested import Attestations
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
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "journeys.toml").write_text("", encoding="utf-8")
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
    """In the target's language, with the command to fill in; nothing that a check carries out."""
    file = str(project / "targets" / "t.toml")
    assert main(["attest", "--list", "staging", "--target", file]) == 0
    listed = capsys.readouterr().out
    assert "스테이징 배포 → 스모크: BI" in listed
    assert f"opsverify attest 2-1/bi --target {file} --by '' --role ''" in listed
    assert main(["attest", "--list", "weekly", "--target", file]) == 0
    assert "서명할 것 없음" in capsys.readouterr().out


def test_what_a_verdict_says_to_type_works_as_typed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the reason of many lines to the list, from the list to an entry that counts."""
    monkeypatch.chdir(project)
    line = lines_of(None)["2-1/bi"]
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    unsigned = Attestations(project / "reports", "t", {}, "staging", now).result("runbook.2-1.bi", line)
    shown = as_message(unsigned.message).cause.en.rpartition(": ")[2]
    assert main(shlex.split(shown)[1:]) == 0
    listed = [each for each in capsys.readouterr().out.splitlines() if each.startswith("opsverify")]
    assert len(listed) == 4
    for command in listed:
        filled = command.replace("--by ''", "--by kim").replace("--role ''", "--role L2")
        assert main(shlex.split(filled)[1:]) == 0
    signed = Attestations(project / "reports", "t", {}, "staging", now).result("runbook.2-1.bi", line)
    assert signed.outcome is Outcome.PASS


def test_a_line_that_the_project_takes_out_of_scope_is_not_listed_from_anywhere(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The target's file names its project, whose runbook counts, whatever the working directory is."""
    row = '[[out_of_scope]]\nline = "2-1/bi"\nowner = "me"\nreason = "no BI"\nsince = 2026-11-01\n'
    (project / "runbook.toml").write_text(row, encoding="utf-8")
    lines_of.cache_clear()  # a process reads a runbook once
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert main(["attest", "--list", "staging", "--target", str(project / "targets" / "t.toml")]) == 0
    listed = capsys.readouterr().out
    assert "attest 2-1/llm" in listed
    assert "attest 2-1/bi" not in listed


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--by", "kim\nentry 9: lee"], "--by"),
        (["--role", "L2\x1b[2J"], "--role"),
        (["--note", "fine\u202e"], "--note"),
        (["--evidence", "a/photo.png", "--evidence", "b/photo.png"], "--evidence 'photo.png'"),
        (["--evidence", "a/x\ny.png"], "--evidence 'x"),
    ],
)
def test_what_would_forge_or_hide_an_entry_signs_nothing(
    more: list[str], told: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters print lines of their own; of two files of one name, one sum would be lost."""
    monkeypatch.chdir(project)
    for name in ("a/photo.png", "b/photo.png", "a/x\ny.png"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(name)
    target = str(project / "targets" / "t.toml")
    assert main(["attest", "1-weekly/cache", "--target", target, "--by", "kim", "--role", "L2", *more]) == 4
    assert told in capsys.readouterr().err
    assert not read(path_of(project / "reports", "t")).entries
