"""The terminal of a run: colour where there is one and nobody asked for none, and a waived check that says so."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.pytest_plugin.cases import WAIVED

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

COLOURED: Final = "\x1b[3"
"""How a sequence begins that sets the colour of letters (ECMA-48, SGR 30 to 37)."""
HALF: Final = """
@described("t.half")
def test_half(check):
    check.measure("error rate", 0.5, RATE, of="of 4,120 requests failed")
"""


def on_a_terminal(suite: Suite, *more: str) -> str:
    """What a run writes to a terminal, standard output and standard error together."""
    ours, theirs = os.openpty()
    command = [*suite.command("cli")[:-1], *more]
    with subprocess.Popen(
        command, cwd=suite.root, env=suite.environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = bytearray()
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # Linux: every end on the other side is closed
        finally:
            os.close(ours)
        process.wait()
    return written.decode()


@pytest.mark.parametrize(
    ("variables", "more", "coloured"),
    [
        ({}, (), True),
        ({}, ("--color=no",), False),
        ({"NO_COLOR": "1"}, (), False),
        ({"NO_COLOR": "1"}, ("--color=yes",), True),
    ],
    ids=["terminal", "color-no", "NO_COLOR", "color-yes-over-NO_COLOR"],
)
def test_a_decision_has_its_colour_on_a_terminal(
    variables: dict[str, str], more: tuple[str, ...], suite: Suite, *, coloured: bool
) -> None:
    """https://no-color.org: the variable ends colour, an option of the command line goes before it."""
    suite.variables = {"TERM": "xterm", **variables}
    written = on_a_terminal(suite, *more)
    assert "ACCEPT" in written
    assert (COLOURED in written) == coloured


def test_a_pipe_gets_no_colour(suite: Suite) -> None:
    """Nor where TERM says that there could be one."""
    suite.variables = {"TERM": "xterm"}
    ran = suite.run()
    assert "ACCEPT" in ran.out + ran.err
    assert "\x1b" not in ran.out + ran.err


def test_a_waived_check_says_so(suite: Suite) -> None:
    """It is no hold: the run accepts, and the line names what it would be."""
    suite.checks("half", HALF)
    suite.target(WAIVED.format(check="t.half", until="2999-12-31"))
    pin = '\n["t.half"]\ntest = "test_half.py::test_half"\nstages = ["daily"]\nlines = ["1-daily/llm"]\n'
    with (suite.root / "checks" / "plan.toml").open("a", encoding="utf-8") as plan:
        plan.write(pin + 'severity = "sev2"\nko = "점검"\nen = "A check"\n')
    ran = suite.run()
    line = next(line for line in ran.out.splitlines() if "t.half" in line)
    assert line.startswith("waiv"), ran
    assert "50%" in line
    assert ran.code == 0
    assert not any("HOLD" in text for text in ran.out.splitlines())
