"""Commands end in time, whatever they do, and placeholders are filled or refused."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from opsverify.commands import run_command
from opsverify.config.actions import Value
from opsverify.config.placeholders import filled, resolve
from opsverify.errors import Refused, TargetError
from tests.release.ordered import note, platform_in, steps
from tests.support.ending import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

TWO_LINES = Value(run=(sys.executable, "-c", "print(1); print(2)"), timeout="180s")
REVISION = Value(run=(sys.executable, "-c", "print('  41 ')"), timeout="180s")


def test_output_and_exit_code() -> None:
    """Both streams are kept, and the exit code is the command's."""
    ran = run_command(
        [sys.executable, "-c", "import sys; print('a'); sys.exit('b')"], timeout_s=DEADLINE_S, folder=None
    )
    assert (ran.exit_code, ran.ok, sorted(ran.output.split())) == (1, False, ["a", "b"])


def test_deadline_ends_the_whole_group() -> None:
    """A command that hangs is ended with its children, and the reason named."""
    ran = run_command(["sh", "-c", "sleep 600 & sleep 600"], timeout_s=0.2, folder=None)
    assert ran.exit_code is None
    assert ran.text == "timed out after 200ms"


def test_background_process_holds_nothing_up() -> None:
    """A process left behind that keeps the output open is not waited for."""
    ran = run_command(["sh", "-c", "sleep 600 & echo ok"], timeout_s=DEADLINE_S, folder=None)
    assert (ran.exit_code, ran.output) == (0, "ok\n")


def test_program_that_does_not_exist() -> None:
    """A missing program is a step that failed, no crash."""
    assert "could not be started" in run_command(["/no/such/program"], 1, None).text


def test_no_shell() -> None:
    """An argument stays one argument, whatever it holds."""
    ran = run_command([sys.executable, "-c", "import sys; print(sys.argv[1])", "$(id); *"], DEADLINE_S, None)
    assert ran.output == "$(id); *\n"


def test_values_are_facts_texts_and_answers() -> None:
    """Each placeholder is asked for once, and other braces stay as they are."""
    argv = ["helm", "rollback", "{release}", "{revision}", "--note={run_id}", "{{.Id}}", "{.status}"]
    values = resolve([argv], {"release": Value(text="judgment"), "revision": REVISION}, {"run_id": "r1"}, None)
    assert filled(argv, values) == [
        "helm", "rollback", "judgment", "41", "--note=r1", "{{.Id}}", "{.status}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TWO_LINES, "2 lines of output, expected 1"),
        (Value(run=("false",)), "exit code 1"),
        (Value(run=("true",)), "nothing on standard output"),
        (Value(run=("/no/such",)), "could not be started"),
    ],
)
def test_value_that_cannot_be_had(value: Value, said: str) -> None:
    """A question without one answer refuses everything, before the first step."""
    with pytest.raises(Refused, match=said):
        resolve([["x", "{revision}"]], {"revision": value}, {}, None)


def test_unused_value_is_not_asked_for() -> None:
    """Only what the steps need is asked."""
    assert resolve([["x"]], {"revision": Value(run=("false",))}, {}, None) == {}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (steps("rollback", note("{revison}")), "no value for {revison}; did you mean {revision}"),
        (steps("rollback", note("{zzz}")), "declare it in"),
        (steps("promote", note("{share}")), "no value for {share}"),
        (steps("rollback", note("x"), more='timeout = "soon"'), '"soon" is not a duration'),
        ('[actions.values.Bad]\ntext = "x"\n', "expected a name of a-z"),
        ('[actions.values.run_id]\ntext = "x"\n', "expected a name of a-z"),
        ("[actions.values.both]\n", "exactly one of"),
    ],
)
def test_target_with_wrong_actions(more: str, said: str, tmp_path: Path) -> None:
    """A misspelt placeholder is found on loading, not in the middle of a rollback."""
    with pytest.raises(TargetError) as error:
        platform_in(tmp_path, '[actions.values.revision]\ntext = "41"\n' + more)
    assert said in str(error.value)


def test_colours_are_no_part_of_what_a_command_said() -> None:
    """Where the environment forces them (FORCE_COLOR), a last line would else be a colour code; all else is kept."""
    ran = run_command([sys.executable, "-c", r"print('\x1b[31merror: full\x1b[2J\n\x1b[0m')"], DEADLINE_S, None)
    assert ran.output.splitlines() == ["error: full\x1b[2J", ""]
