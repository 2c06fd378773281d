"""The table of commands: each has a module with its arguments, and only the given one is imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from opsverify.cli import incident, oncall, recovery
from opsverify.cli.main import COMMANDS, HANDED_ON, main
from opsverify.cli.parser import Command, CommandParser
from opsverify.core.stages import STAGES
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_VERBS: Mapping[str, Mapping[str, Command]] = {
    "dr": recovery.VERBS,
    "incident": incident.VERBS,
    "oncall": oncall.VERBS,
}
"""Commands that have verbs."""


@pytest.mark.parametrize(
    ("name", "table"), [(name, table) for table in (COMMANDS, *OF_VERBS.values()) for name in table]
)
def test_every_command_has_its_module(name: str, table: Mapping[str, Command]) -> None:
    """It declares arguments and runs them; `dr` and its like declare verbs instead."""
    module = import_module(table[name].module)
    assert callable(module.add_arguments)
    assert callable(getattr(module, "run", None)) != (table is COMMANDS and name in OF_VERBS)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`opsverify --help` and `opsverify dr --help` list their tables."""
    for arguments, table in (([], COMMANDS), *(([name], verbs) for name, verbs in OF_VERBS.items())):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--help"])
        assert ended.value.code == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert [
            f"{name} {command.help}" for name, command in table.items() if f"{name} {command.help}" not in shown
        ] == []


def test_a_plan_imports_no_other_command() -> None:
    """Start-up pays for the one command that was given."""
    program = (
        "import json, sys; from opsverify.cli.main import main; main(['plan', 'staging', '--target', 'sandbox']); "
        "print(json.dumps([name for name in sys.modules if name.startswith('opsverify.')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    commands = {command.module for table in (COMMANDS, *OF_VERBS.values()) for command in table.values()}
    assert loaded & commands == {"opsverify.cli.plan"}
    assert not any(name.startswith(("opsverify.incident", "opsverify.release", "opsverify.report")) for name in loaded)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "opsverify: missing COMMAND; see opsverify --help"),
        (["verfy"], "opsverify: unknown COMMAND 'verfy'; did you mean 'verify'?; expected one of: verify, "),
        (["verify"], "opsverify verify: missing STAGE, --target; see opsverify verify --help"),
        (["verify", "daily", "--targt", "x"], "opsverify verify: unknown option --targt; did you mean '--target'?; "),
        (["verify", "daily", "--target"], "opsverify verify: argument --target: expected one argument; see "),
        (["report", "--language", "fr"], "opsverify report: unknown --language 'fr'; expected one of: ko, en; see "),
        (["dr"], "opsverify dr: missing VERB; see opsverify dr --help"),
        (["dr", "statsu"], "opsverify dr: unknown VERB 'statsu'; did you mean 'status'?; expected one of: "),
        (["plan", "dayly", "--target", "sandbox"], "단계 'dayly' 없음('daily'의 오타로 보임). 단계 목록: "),
        (["plan", "daily", "--target", "sandbx"], "did you mean 'sandbox'?"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_4(
    capfd: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    """What is wrong, the nearest right word, where the help is; argparse's own 2 means interrupted to a pipeline."""
    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code
    written = [
        text
        for text in capfd.readouterr().err.splitlines()
        if not text.startswith(("opsverify: stage", "opsverify: 대상 sandbox의 단계"))
    ]
    assert code == 4
    assert line in written[0]
    assert len([text for text in written if text]) == 1


def test_a_negative_value_reaches_its_option() -> None:
    """`--window -5m` is a duration that is wrong, not one that is missing."""
    parser = CommandParser("opsverify")
    parser.add_argument("--window")
    assert parser.parse_args(["--window", "-5m"]).window == "-5m"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`opsverify --version` prints the installed one."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"opsverify {version('opsverify')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The examples are of that command."""
    if name in HANDED_ON:  # their help is the stand-in's own
        assert all(example.startswith(f"opsverify {name}") for example in COMMANDS[name].examples)
        return
    with pytest.raises(SystemExit):
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert COMMANDS[name].examples
    assert all(f"opsverify {name}" in example and example in shown for example in COMMANDS[name].examples)
    assert "4   usage" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_commands_stages_and_options(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """Whatever a command takes is in the script."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    verbs = [name for table in OF_VERBS.values() for name in table]
    for word in (*COMMANDS, *verbs, *STAGES, "--report-dir", "--public-key", "rows_lost"):
        assert word in script, word


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("opsverify ver", {"verify"}),
        ("opsverify verify dai", {"daily"}),
        ("opsverify verify daily --tar", {"--target"}),
        ("opsverify dr mar", {"mark"}),
        ("opsverify verify daily --target sand", {"sandbox"}),
        ("opsverify sandbox fault rows_l", {"rows_lost"}),
    ],
)
def test_bash_completes(capsys: pytest.CaptureFixture[str], typed: str, offered: set[str]) -> None:
    """The script, run by bash with a half typed line."""
    main(["completion", "bash"])
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    program = f"{capsys.readouterr().out}\nCOMP_WORDS=({words}); COMP_CWORD={len(typed.split(' ')) - 1}; _opsverify\n"
    done = subprocess.run(
        ["bash", "-c", program + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        check=True,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert offered <= set(done.stdout.split())
