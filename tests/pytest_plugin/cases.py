"""Every way a run can go that somebody might mistake for a pass: data for `tests/attack/test_table_exit_codes.py`."""

from __future__ import annotations

from tests.pytest_plugin.suite import Case

ALONE = ("cli",)
ALL = ("cli", "cli-n2", "pytest", "pytest-n2")
PASSES = 'check.measure("x", 0.0, RATE)'

WAIVED = '[[waivers]]\ncheck = "{check}"\nowner = "me"\nreason = "mended on Monday"\nuntil = {until}\n'


def one(body: str, *, decorated: str = "", arguments: str = "check") -> str:
    """A file with one more check, `t.case`, and this body."""
    lines = "\n    ".join(body.splitlines())
    return f'{decorated}\n@described("t.case")\ndef test_case({arguments}):\n    {lines}\n'


HELPER = """
def enough(count):
    pytest.fail(f"too many: {count}")


@described("t.case")
def test_case(check):
    enough(3)
"""
OWN_FAILURE = """
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if pyfuncitem.name == "test_case":
        pytest.fail("no body was run", pytrace=False)
"""

OUTCOMES = (
    Case("healthy", 0, "accept", ways=ALL),
    Case(
        "measured failure",
        1,
        "reject",
        "t.case: 2.31% of 4,120 requests failed, limit < 1%",
        one('check.measure("e", 0.0231, RATE, samples=4120, of="of 4,120 requests failed")'),
        ways=ALL,
        outcome="fail",
    ),
    Case(
        "inconclusive",
        10,
        "hold",
        "t.case: Prometheus did not answer",
        one('raise Inconclusive("Prometheus did not answer")'),
        ways=ALL,
        outcome="inconclusive",
    ),
    Case(
        "exception",
        10,
        "hold",
        "t.case: aborted: ValueError: odd",
        one('raise ValueError("odd")'),
        outcome="inconclusive",
    ),
    Case(
        "skipped",
        10,
        "hold",
        "t.case: skipped, not measured: later",
        one('pytest.skip("later")'),
        outcome="inconclusive",
    ),
    Case(
        "skip mark",
        10,
        "hold",
        "t.case: skipped",
        one(PASSES, decorated='@pytest.mark.skip(reason="later")'),
        outcome="inconclusive",
    ),
    Case(
        "measured nothing",
        10,
        "hold",
        "t.case: the check ended without measuring",
        one("pass"),
        outcome="inconclusive",
    ),
    Case(
        "NaN",
        10,
        "hold",
        "t.case: x: no value (nan)",
        one('check.measure("x", float("nan"), RATE)'),
        outcome="inconclusive",
    ),
    Case(
        "no value",
        10,
        "hold",
        "t.case: x: no value (None)",
        one('check.measure("x", None, RATE)'),
        outcome="inconclusive",
    ),
    Case(
        "xfail mark does not excuse",
        1,
        "reject",
        "t.case: x 50%, limit < 1%",
        one('check.measure("x", 0.5, RATE)', decorated="@pytest.mark.xfail"),
        outcome="fail",
    ),
    Case("xfail call", 10, "hold", "t.case: ", one('pytest.xfail("known")'), outcome="inconclusive"),
    Case("bare assert", 1, "reject", "t.case: assert 1 == 2", one("assert 1 == 2"), outcome="fail"),
    Case("pytest.fail", 1, "reject", "t.case: too old", one('pytest.fail("too old")'), outcome="fail"),
    Case(
        "failure, then a crash",
        1,
        "reject",
        "t.case: x 50%, limit < 1%; then aborted: odd",
        one('check.measure("x", 0.5, RATE)\nraise ValueError("odd")'),
        outcome="fail",
    ),
    Case(
        "failed subtest",
        1,
        "reject",
        "t.case: assert 1 == 2",
        one(f"with subtests.test():\n    assert 1 == 2\n{PASSES}", arguments="check, subtests"),
        outcome="fail",
    ),
    Case(
        "crashed subtest under a waived failure",
        10,
        "hold",
        "t.case: aborted: ValueError",
        one(f'with subtests.test():\n    raise ValueError("odd")\n{PASSES}', arguments="check, subtests")
        + '\n@described("t.waived")\ndef test_waived(check):\n    check.measure("x", 0.5, RATE)\n',
        target=WAIVED.format(check="t.waived", until="2999-12-31"),
        outcome="inconclusive",
    ),
    Case(
        "setup error",
        10,
        "hold",
        "t.case: setup failed: ValueError: odd",
        '@pytest.fixture\ndef broken():\n    raise ValueError("odd")\n' + one(PASSES, arguments="check, broken"),
        outcome="inconclusive",
    ),
    Case(
        "setup assertion is no measurement",
        10,
        "hold",
        "t.case: setup failed",
        '@pytest.fixture\ndef broken():\n    assert False, "odd"\n' + one(PASSES, arguments="check, broken"),
        outcome="inconclusive",
    ),
    Case(
        "teardown error",
        10,
        "hold",
        "t.case: teardown failed: ValueError: odd",
        '@pytest.fixture\ndef untidy():\n    yield\n    raise ValueError("odd")\n'
        + one(PASSES, arguments="check, untidy"),
        outcome="inconclusive",
    ),
    Case(
        "connection that does not close",
        10,
        "hold",
        "t.whole: teardown failed: ValueError: odd",
        'def odd():\n    raise ValueError("odd")\n'
        + one(f"connections._open.callback(odd)\n{PASSES}", arguments="check, connections"),
        outcome="pass",
    ),
    Case(
        "failure and teardown error",
        1,
        "reject",
        "t.case: x 50%",
        '@pytest.fixture\ndef untidy():\n    yield\n    raise ValueError("odd")\n'
        + one('check.measure("x", 0.5, RATE)', arguments="check, untidy"),
        outcome="fail",
    ),
    Case("sys.exit(0)", 10, "hold", "t.case: aborted: SystemExit", one("sys.exit(0)"), outcome="inconclusive"),
    Case(
        "pytest.exit(0)",
        10,
        "hold",
        "was not executed  (2 checks)",
        one('pytest.exit("enough", returncode=0)'),
        ways=ALONE,
        outcome="inconclusive",
    ),
    Case(
        "KeyboardInterrupt",
        2,
        "hold",
        "interrupted",
        one("raise KeyboardInterrupt"),
        ways=ALONE,
        outcome="inconclusive",
    ),
)

FAILS = 'check.measure("x", 0.5, RATE)'
SEV1 = FAILS.join(('@described("t.case", severity="sev1")\ndef test_case(check):\n    ', "\n"))
WAIVERS = (
    Case(
        "waiver",
        0,
        "accept",
        "",
        one(FAILS),
        target=WAIVED.format(check="t.case", until="2999-12-31"),
        outcome="waived",
    ),
    Case(
        "expired waiver",
        1,
        "reject",
        "t.case: x 50%",
        one(FAILS),
        target=WAIVED.format(check="t.case", until="2020-01-01"),
        outcome="fail",
    ),
    Case(
        "more waivers than the limit allows",
        10,
        "hold",
        "6 waivers are in force at once, limit <= 5",
        target="".join(WAIVED.format(check=f"t.other{n}", until="2999-12-31") for n in range(6)),
    ),
    Case(
        "sev1 waiver",
        1,
        "reject",
        "t.case: x 50%",
        SEV1,
        target=WAIVED.format(check="t.case", until="2999-12-31"),
        outcome="fail",
    ),
    Case(
        "sev1 waiver that the target allows",
        0,
        "accept",
        "",
        SEV1,
        outcome="waived",
        ways=("cli",),
        files={
            "targets/t.toml": "sev1_waivers_allowed = true\n{target}"
            + WAIVED.format(check="t.case", until="2999-12-31")
        },
    ),
)

COLLECTION = (
    Case(
        "import error in one file",
        2,
        "hold",
        "checks/test_case.py: cannot be collected",
        "import nowhere_to_be_found",
        ways=ALL,
    ),
    Case("syntax error in one file", 2, "hold", "checks/test_case.py: cannot be collected", "def (", ways=ALL),
    Case(
        "an async check beside a failure",
        1,
        "reject",
        "t.async: an async function, which measures nothing; write def in place of async def",
        f'@described("t.async")\nasync def test_async(check):\n    {PASSES}\n\n\n'
        '@described("t.red")\ndef test_red(check):\n    check.measure("x", 1.0, RATE)\n',
    ),
    Case(
        "an async check",
        10,
        "hold",
        "t.case: an async function",
        f'@described("t.case")\nasync def test_case(check):\n    {PASSES}\n',
        ways=ALL,
        outcome="inconclusive",
    ),
    Case(
        "an async check in a class, with yield",
        10,
        "hold",
        "t.case: an async function",
        f'class TestCase:\n    @described("t.case")\n    async def test_case(self, check):\n        {PASSES}\n'
        "        yield\n",
        outcome="inconclusive",
    ),
    Case(
        "a failure that a plugin declares",
        10,
        "hold",
        "t.case: aborted: Failed: no body was run",
        one(PASSES),
        files={"checks/conftest.py": OWN_FAILURE},
        outcome="inconclusive",
    ),
    Case("a failure that a helper declares", 1, "reject", "t.case: too many", HELPER, outcome="fail"),
    Case(
        "severity that is none",
        2,
        "hold",
        "severity 'critical': expected one of sev1, sev2, sev3",
        f'@described("t.case", severity="critical")\ndef test_case(check):\n    {PASSES}\n',
    ),
    Case("sys.exit while collecting", 3, "hold", "", "sys.exit(0)", ways=ALONE),
    Case(
        "import error, told to go on",
        10,
        "hold",
        "checks/test_case.py: cannot be collected",
        "import nowhere_to_be_found",
        args=("--continue-on-collection-errors",),
    ),
    Case("-k nothing", 5, "hold", "t.whole: was not executed", args=("-k", "nothing")),
    Case("-k one", 10, "hold", "t.whole: was not executed", one(PASSES), args=("-k", "test_case"), ways=ALL),
    Case("-m", 5, "hold", "t.whole: was not executed", args=("-m", "not opsverify")),
    Case(
        "--deselect",
        10,
        "hold",
        "t.whole: was not executed",
        one(PASSES),
        args=("--deselect", "checks/test_whole.py::test_whole"),
    ),
    Case(
        "PYTEST_ADDOPTS",
        10,
        "hold",
        "t.whole: was not executed",
        one(PASSES),
        variables={"PYTEST_ADDOPTS": "-k test_case"},
    ),
    Case(
        "conftest removes items",
        10,
        "hold",
        "t.whole: was not executed",
        one(PASSES),
        files={
            "checks/conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
            "def pytest_collection_modifyitems(items):\n"
            "    items[:] = [item for item in items if 'whole' not in item.name]\n"
        },
    ),
    Case(
        "a line that no check carries out",
        10,
        "hold",
        "no check carries out this runbook line; do it by hand, then sign for it; the commands: "
        "opsverify attest --list daily --target t  (4 checks)",
        one(PASSES),
        files={"checks/test_whole.py": "", "checks/plan.toml": ""},
    ),
    Case(
        "nothing in the suites",
        5,
        "hold",
        "no check carries out",
        files={"checks/test_whole.py": "", "checks/plan.toml": ""},
    ),
    Case(
        "all not applicable",
        5,
        "hold",
        "nothing was measured",
        files={
            "checks/test_whole.py": "{header}@runbook('1-daily/alerts', '1-daily/llm',"
            " '1-daily/dead-letters', '1-daily/mcp', '1-daily/stores', id='t.whole', stages=('daily',),"
            " severity='sev2', ko='x', en='x', needs=('redis',))\n"
            "def test_whole(check): pass\n"
        },
    ),
    Case("no @runbook", 4, None, "needs @runbook", "def test_bare():\n    pass\n", ways=ALONE),
    Case(
        "duplicate id",
        4,
        None,
        "t.whole: used twice",
        '@described("t.whole")\ndef test_case(check):\n    pass\n',
        ways=ALONE,
    ),
)

STOPPED = (
    Case("-x after a failure", 1, "reject", "t.whole: was not executed", one(FAILS), args=("-x",), ways=ALONE),
    Case("--maxfail", 1, "reject", "t.whole: was not executed", one(FAILS), args=("--maxfail=1",), ways=ALONE),
    Case(
        "-x after a hole",
        10,
        "hold",
        "t.whole: was not executed",
        one('raise Inconclusive("odd")'),
        args=("-x",),
        ways=ALONE,
    ),
    Case(
        "killed worker",
        10,
        "hold",
        "t.case: lost with its process",
        one("os.kill(os.getpid(), signal.SIGKILL)"),
        ways=("cli-n2", "pytest-n2"),
        outcome="inconclusive",
    ),
    Case("killed process", 3, None, "ended with SIGKILL", one("os.kill(os.getpid(), signal.SIGKILL)"), ways=ALONE),
    Case("os._exit(0)", 3, None, "", one("os._exit(0)"), ways=ALONE),
    Case(
        "os._exit(0) in a worker",
        10,
        "hold",
        "t.case: lost with its process",
        one("os._exit(0)"),
        ways=("cli-n2",),
        outcome="inconclusive",
    ),
)

NARROWED = tuple(
    Case(" ".join(args), 4, None, "leave", args=args, ways=ways)
    for args, ways in (
        (("--collect-only",), ALL),
        (("--co",), ALONE),
        (("--setup-only",), ALONE),
        (("--setup-plan",), ALONE),
        (("--ignore=checks/test_whole.py",), ALONE),
        (("--ignore-glob=*whole*",), ALONE),
        (("-o", "python_functions=nothing"), ALONE),
        (("checks/test_whole.py",), ALL),
    )
)
SHOWN = (
    *(Case(option, 10, None, args=(option,), ways=("cli",)) for option in ("--fixtures", "--version", "--markers")),
    Case("--help from the environment", 10, None, variables={"PYTEST_ADDOPTS": "--help"}, ways=("cli",)),
    Case("--help", 4, None, args=("--help",)),
    Case("--lf", 4, None, args=("--lf",), ways=ALONE),
)

BROKEN = (
    Case("allure under its other name", 0, "accept", args=("-p", "no:allure_pytest"), ways=("pytest",)),
    Case(
        "allure switched off",
        4,
        None,
        "the evidence needs Allure",
        args=("-p", "no:allure_pytest.plugin"),
        ways=("cli",),
    ),
    Case("plugin switched off", 10, None, "", args=("-p", "no:opsverify.pytest_plugin.plugin"), ways=("cli",)),
    Case("stage plugin switched off", 10, None, "", args=("-p", "no:opsverify-stage"), ways=("cli",)),
    Case(
        "another plugin breaks off the end",
        3,
        "hold",
        "end of the run aborted: ValueError: odd",
        files={"checks/conftest.py": "def pytest_sessionfinish():\n    raise ValueError('odd')\n"},
        ways=ALONE,
    ),
    Case(
        "another plugin exits with 0 at the end",
        3,
        "hold",
        "end of the run aborted: Exit: odd",
        files={
            "checks/conftest.py": "import pytest\ndef pytest_sessionfinish():\n    pytest.exit('odd', returncode=0)\n"
        },
        ways=ALONE,
    ),
    Case(
        "another plugin claims 0",
        10,
        "hold",
        "t.whole",
        files={"checks/conftest.py": "def pytest_runtestloop(session):\n    return True\n"},
        ways=ALONE,
    ),
    Case(
        "another plugin never calls the body",
        10,
        "hold",
        "t.whole",
        files={"checks/conftest.py": "def pytest_pyfunc_call(pyfuncitem):\n    return True\n"},
    ),
    Case(
        "an internal error",
        3,
        "hold",
        "internal error: ",
        files={"checks/conftest.py": "def pytest_runtest_logstart():\n    raise ValueError('odd')\n"},
        ways=ALONE,
    ),
)

CASES = (*OUTCOMES, *WAIVERS, *COLLECTION, *STOPPED, *NARROWED, *SHOWN, *BROKEN)
