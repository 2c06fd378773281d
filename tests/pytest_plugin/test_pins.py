"""The committed lists of checks: those of this project are as the suites are, and one command writes them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from opsverify.core.pinned import PINS, loads
from tests.support.paths import REPOSITORY
from tests.support.plans import plans

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

PIN = [sys.executable, "-m", "opsverify", "pin"]
SUITES = ("checks", "smoke", "dr_validation")


def test_the_lists_of_this_project_are_not_stale() -> None:
    """Write them anew with `./run pin` where this fails."""
    done = subprocess.run([*PIN, "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_check_of_every_stage_is_pinned() -> None:
    """All that a stage plans on the sandbox is on a list: by its id, its family, or its function."""
    pins = [pin for suite in SUITES for pin in loads((REPOSITORY / suite / PINS).read_text(encoding="utf-8"))]
    ids, functions = {pin.id for pin in pins}, {pin.test for pin in pins if pin.function_only}
    for stage, checks in plans().items():
        for check in checks:
            test = (check["nodeid"] or "").partition("/")[2].partition("[")[0]
            named = check["id"].partition("[")[0] in ids or test in functions or check["nodeid"] is None
            assert named, f"{stage}: {check['id']}"


def test_one_command_writes_the_lists(suite: Suite) -> None:
    """A new check is stale, then written; without a change nothing is written."""
    suite.checks("more", '@described("t.more")\ndef test_more(check):\n    check.measure("x", 0.0, RATE)\n')
    stale, written, checked = (suite.ended(suite.start([*PIN, *more])) for more in (["--check"], [], ["--check"]))
    assert (stale.code, written.code, checked.code) == (10, 0, 0), str(stale)
    assert "checks/plan.toml: stale; write it anew: opsverify pin" in stale.out
    assert "checks/plan.toml: written" in written.out
    ran = suite.run()
    assert ran.code == 0, str(ran)
    assert ran.verdict is not None
    assert ran.verdict["notes"] == []
    assert suite.ended(suite.start(PIN)).out == ""


def test_a_check_that_is_not_pinned_is_noted(suite: Suite) -> None:
    """It counts, and the verdict says that its loss would not be noticed."""
    suite.checks("more", '@described("t.more")\ndef test_more(check):\n    check.measure("x", 0.0, RATE)\n')
    ran = suite.run()
    assert ran.code == 0, str(ran)
    assert ran.verdict is not None
    (note,) = ran.verdict["notes"]
    assert note == "not in any plan.toml, their loss would not be noticed: t.more; write it anew: opsverify pin"


def test_nothing_is_pinned_from_a_suite_that_cannot_be_collected(suite: Suite) -> None:
    """A list written from half a suite would hide the other half."""
    suite.checks("broken", "import nowhere_to_be_found\n")
    before = (suite.root / "checks" / PINS).read_text()
    ran = suite.ended(suite.start(PIN))
    assert ran.code == 4
    assert "checks/test_broken.py: cannot be collected" in ran.err
    assert (suite.root / "checks" / PINS).read_text() == before
