"""The table of commands: each has a module with its arguments, and only the given one is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

from opsverify.cli.main import COMMANDS, main
from opsverify.cli.recovery import VERBS


@pytest.mark.parametrize(
    ("name", "table"), [*((name, COMMANDS) for name in COMMANDS), *((name, VERBS) for name in VERBS)]
)
def test_every_command_has_its_module(name: str, table: dict[str, object]) -> None:
    """It declares arguments and runs them; `dr` declares verbs instead."""
    command = table[name]
    module = import_module(command.module)  # type: ignore[attr-defined]
    assert callable(module.add_arguments)
    assert callable(getattr(module, "run", None)) != (name == "dr")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`opsverify --help` and `opsverify dr --help` list their tables."""
    for arguments, table in (([], COMMANDS), (["dr"], VERBS)):
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
    commands = {command.module for command in (*COMMANDS.values(), *VERBS.values())}
    assert loaded & commands == {"opsverify.cli.plan"}
    assert not any(name.startswith(("opsverify.incident", "opsverify.release", "opsverify.report")) for name in loaded)
