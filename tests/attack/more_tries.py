"""Tries of kinds that are not named elsewhere: variables of the interpreter, odd terminals, odd folders, odd signals."""

from __future__ import annotations

import signal

from tests.attack.end_tries import INCONCLUSIVE, shell, stopped
from tests.attack.plan_tries import setting
from tests.attack.tries import HOLDS, Stage, Try

HOLDING = "echo 'raise SystemError' > checks/test_other.py; "
"""Makes the stage hold, so that no 0 and no 1 is right."""
CASE = "{header}@described('t.other')\ndef test_other(check):\n    check.measure('x', 0.0, RATE)\n"

INTERPRETER = tuple(
    Try("interpreter", f"{variable}, a run that holds", shell(f"{HOLDING}{variable} {{verify}} </dev/null"), HOLDS)
    for variable in (
        "PYTHONINSPECT=1", "PYTHONWARNINGS=error", "PYTHONDEVMODE=1", "PYTHONFAULTHANDLER=1", "PYTHONUNBUFFERED=1",
        "PYTHONBREAKPOINT=os._exit", "PYTHONSAFEPATH=1", "PYTHONUTF8=0 LC_ALL=C", "PYTHONIOENCODING=ascii:strict",
        "PYTHONHASHSEED=0", "PYTHONMALLOC=debug", "PYTHONPROFILEIMPORTTIME=1", "PYTHONSTARTUP=conftest.py",
    )
) + tuple(
    Try("interpreter", f"python {flag}, a run that holds",
        shell(f"{HOLDING}{{python}} {flag} -m opsverify verify daily --target t </dev/null"), HOLDS)
    for flag in ("-i", "-W error", "-X dev", "-u", "-I", "-X utf8=0")
)  # fmt: skip

OUTPUT = tuple(
    Try("output", command, shell(command), (0,))
    for command in (
        "{verify} 2>&1 | head -c 1; exit ${PIPESTATUS[0]}",
        "LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii:strict {verify}",
        "TERM=dumb COLUMNS=1 {verify}",
        "COLUMNS=0 LINES=0 {verify} -v",
        "script -qec '{verify}' /dev/null </dev/null",
        "(ulimit -f 2000; {verify})",
        "{verify} </dev/zero",
    )
)
HELD_OUTPUT = tuple(
    Try("output", f"{command}, a run that holds", shell(HOLDING + command), HOLDS)
    for command in (
        "{verify} | true; exit ${PIPESTATUS[0]}",
        "{verify} >/dev/full 2>&1",
        "{verify} >&- 2>&- <&-",
        "{pytest} >&- 2>&- <&-",
        "(ulimit -f 1; {verify})",
        "(ulimit -f 1; {pytest})",
    )
)

STOPPED = tuple(
    Try("stop", f"{' and '.join(each.name for each in signals)}, {way}", stopped(way, *signals), (2, 3, 10, -signal.SIGQUIT),
        "")
    for way, signals in (
        ("cli", (signal.SIGTERM, signal.SIGHUP)),
        ("cli", (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT)),
        ("pytest", (signal.SIGTERM, signal.SIGTERM)),
        ("pytest", (signal.SIGSTOP, signal.SIGINT, signal.SIGCONT)),
    )
)  # fmt: skip

FOLDERS = (
    *(
        Try("report folder", what, shell(f"{command}; {{verify}}{option}"), expected)
        for what, command, option, expected in (
            ("the project itself", "true", " --report-dir=.", (4,)),
            ("a suite", "true", " --report-dir=checks", (4,)),
            ("a link to nowhere", "ln -s nowhere gone", " --report-dir=gone", (0, 4)),
            ("a link to a folder with other files", "ln -s checks other", " --report-dir=other", (4,)),
            ("a verdict that is a folder", "mkdir -p r/verdict.json", " --report-dir=r", (0, 4)),
            ("a FIFO of that name", "mkfifo pipe", " --report-dir=pipe", (4,)),
            ("reports is a file", "touch reports", "", (4,)),
            ("the state is a file", "mkdir reports; touch reports/.state", "", (4,)),
            ("the state's chain is a folder", "mkdir -p reports/.state/t/runs.jsonl", "", (4,)),
            (
                "the state's chain is damaged",
                "mkdir -p reports/.state/t; echo x > reports/.state/t/runs.jsonl",
                "",
                (4,),
            ),
            ("latest is a folder", "mkdir -p reports/latest/x", "", (0,)),
        )
    ),
)

COLLECTION = (
    Try("collection", "a fixture called check that measures nothing",
        Stage(files={"checks/conftest.py": "import pytest\nfrom unittest.mock import MagicMock\n@pytest.fixture\n"
                     "def check():\n    return MagicMock()\n"}), (10,)),
    Try("collection", "a body that is replaced by a decorator",
        Stage(files={"checks/test_other.py": "{header}import functools\n@described('t.other')\n@functools.wraps(lambda check: 0)\n"
                     "def test_other(*a, **k): pass\n"}), HOLDS),
    Try("collection", "a hook that reports every test as passed",
        Stage(files={"checks/conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
                     "def pytest_pyfunc_call(pyfuncitem):\n    return True\n"}), (10,)),
    Try("collection", "a protocol that runs nothing",
        Stage(files={"checks/conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
                     "def pytest_runtest_protocol(item):\n    return True\n"}), (10,)),
    Try("collection", "a loop over the tests that runs none",
        Stage(files={"checks/conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
                     "def pytest_runtestloop(session):\n    return True\n"}), (10,)),
    Try("collection", "a command line that ends at once",
        Stage(files={"checks/conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
                     "def pytest_cmdline_main(config):\n    return 0\n"}), (0, *HOLDS)),
    Try("collection", "an exit code that a hook sets",
        Stage(files={"checks/conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"},
              body=INCONCLUSIVE), (10,)),
    Try("collection", "two functions of one name", Stage(files={"checks/test_other.py": CASE + "def test_other(check): pass\n"}), HOLDS),
    Try("collection", "two files of one id", Stage(files={"checks/test_again.py": CASE.replace("def test_other", "def test_x")}), HOLDS),
    Try("collection", "no parameter sets", Stage(files={"checks/test_other.py": CASE.replace(
        "def test", "@pytest.mark.parametrize('x', [])\ndef test").replace("(check)", "(check, x)")}), HOLDS),
    Try("collection", "a usefixtures mark that skips", Stage(files={
        "checks/conftest.py": "import pytest\n@pytest.fixture(autouse=True)\ndef none():\n    pytest.skip('x')\n"}), (10,)),
)  # fmt: skip

SENT = tuple(
    setting(f"{option} {'by PYTEST_ADDOPTS' if variable else ''}", *(() if variable else option.split()), way=way,
            variables={"PYTEST_ADDOPTS": option} if variable else {})
    for option, variable, way in (
        ("--pastebin=all", False, "cli"), ("--pastebin=all", True, "cli"), ("--pastebin=failed", False, "pytest"),
        ("--debug=x.log", True, "pytest"), ("--log-file=x.log", True, "cli"), ("-o log_file=x.log", False, "cli"),
        ("-o log_file=x.log", True, "pytest"), ("--runxfail", True, "cli"), ("--import-mode=importlib", True, "cli"),
        ("--basetemp=checks", False, "cli"), ("--allure-no-capture", True, "cli"), ("--doctest-modules", False, "cli"),
        ("-p xdist.plugin --tx=ssh=localhost -d", False, "cli"), ("-p xdist.plugin --tx=popen//python=/bin/true -d", False, "cli"),
        ("-p xdist.plugin --rsyncdir=/etc --tx=popen -d", False, "cli"), ("--pdbcls=os:_exit", False, "cli"), ("--trace", True, "cli"),
    )
)  # fmt: skip

TRIES = (*INTERPRETER, *OUTPUT, *HELD_OUTPUT, *STOPPED, *FOLDERS, *COLLECTION, *SENT)
