"""Tries to end the process in place of the verdict, to forge the verdict, and to stop the run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.attack.tries import HOLDS, Stage, Try

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pytest_plugin.suite import Ran, Suite

INCONCLUSIVE = "raise Inconclusive('nothing came')"
FOLDER = "folder = request.config.pluginmanager.get_plugin('opsverify-stage').run.folder\n"


def body(what: str, code: str, expected: tuple[int, ...] = HOLDS, says: str = "", **more: object) -> Try:
    """A check that does something to its process."""
    return Try("end of the process", what, Stage(body=code, **more), expected, says)  # type: ignore[arg-type]


ENDS = (
    body("os.execv of a program that ends with 0", "os.execv('/bin/true', ['true'])", (10,), "no verdict"),
    body("os.execv of a program that ends with 1", "os.execv('/bin/false', ['false'])", (10,), "no verdict"),
    body("os.execv of another pytest", "os.execv(sys.executable, [sys.executable, '-m', 'pytest', '--version'])", (10,)),
    body("posix._exit(0)", "import posix\nposix._exit(0)", (10,), "no verdict"),
    body("posix._exit(1)", "import posix\nposix._exit(1)", (10,), "no verdict"),
    body("_exit of libc", "import ctypes\nctypes.CDLL(None)._exit(0)", (10,)),
    body("exit of libc", "import ctypes\nctypes.CDLL(None).exit(1)", (10,)),
    body("os._exit(1)", "os._exit(1)", (3, 10)),
    body("os._exit(0) in a thread", "import threading, time\nthreading.Thread(target=lambda: os._exit(0)).start()\n"
         "time.sleep(30)", (3, 10)),
    body("an atexit handler that ends with 0", f"import atexit, posix\natexit.register(posix._exit, 0)\n{INCONCLUSIVE}", (10,)),
    body("an atexit handler that ends with 1", "import atexit, posix\natexit.register(posix._exit, 1)\n"
         "check.measure('x', 0.0, RATE)", (0,)),
    body("an atexit handler that raises", f"import atexit\natexit.register(lambda: 1 / 0)\n{INCONCLUSIVE}", (10,)),
    body("a crash in C", "import ctypes\nctypes.string_at(0)", (3,), "SIGSEGV"),
    body("os.abort", "os.abort()", (3,), "SIGABRT"),
    body("an alarm", "signal.alarm(1)\nimport time\ntime.sleep(30)", (3,), "SIGALRM"),
    body("faulthandler with exit", "import faulthandler, time\nfaulthandler.dump_traceback_later(0.2, exit=True)\n"
         "time.sleep(30)", (10,)),
    body("a limit of memory", "resource = __import__('resource')\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20,) * 2)\n"
         "bytearray(1 << 30)"),
    body("a limit of processor time", "resource = __import__('resource')\nresource.setrlimit(resource.RLIMIT_CPU, (1, 60))\n"
         "while True: pass", (3,), "SIGXCPU"),
    body("a recursion without end", "def again(): again()\nagain()", (10,)),
    body("SIGKILL", "os.kill(os.getpid(), signal.SIGKILL)", (3,), "SIGKILL"),
    body("SIGTERM of itself", "os.kill(os.getpid(), signal.SIGTERM)", (2,), "the run was interrupted"),
    body("SIGHUP of itself", "os.kill(os.getpid(), signal.SIGHUP)", (2,), "the run was interrupted"),
    body("a fork that returns into pytest", f"os.fork() or os._exit(0)\n{INCONCLUSIVE}", (10,)),
    body("a fork that runs to the end", f"os.fork()\n{INCONCLUSIVE}"),
    body("KeyboardInterrupt inside a group of errors",
         "os.kill(os.getpid(), signal.SIGINT) if False else None\n"
         "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    __import__('time').sleep(5)\n"
         "except KeyboardInterrupt as error:\n    raise BaseExceptionGroup('swallowed', [error])", (2,), "interrupted"),
    body("KeyboardInterrupt turned into a failure",
         "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    __import__('time').sleep(5)\n"
         "except KeyboardInterrupt:\n    assert False, 'odd'", (2,)),
    body("closed descriptors", "os.closerange(3, 100)\ncheck.measure('x', 0.0, RATE)", (0, *HOLDS)),
    body("a changed working directory", "os.chdir('/')\ncheck.measure('x', 0.0, RATE)", (0,)),
    body("pytest.exit with 1", "pytest.exit('enough', returncode=1)", HOLDS),
    body("a thread that raises SystemExit", "import _thread\n_thread.start_new_thread(sys.exit, (0,))\n" + INCONCLUSIVE, (10,)),
)  # fmt: skip


def forged(what: str, code: str) -> Try:
    """A check that writes a verdict of its own, then ends the process before the real one."""
    return Try(
        "forged verdict", what, Stage(body=FOLDER + code + "\nimport posix\nposix._exit(0)"), (10,), "no verdict"
    )


MINIMAL = (
    "import json\nverdict = {'schema': 'opsverify.verdict/1', 'run_id': folder.run_id, 'stage': 'daily', 'outcome': 'pass',"
    " 'decision': 'accept', 'planned': 3, 'exit_code': 0, 'evidence': {'manifest_sha256': '0' * 64}, 'checks': "
    "[{'id': check['id'], 'outcome': 'pass'} for check in json.loads((folder.path / 'plan.json').read_text())['checks']]}\n"
)
WRITE = "(folder.path / 'verdict.json').write_text(json.dumps(verdict))"
FORGED = (
    forged("without a manifest", MINIMAL + WRITE),
    forged("of another run", MINIMAL + "verdict['run_id'] = '20200101T000000Z-daily-0000'\n" + WRITE),
    forged("over fewer checks", MINIMAL + "verdict['checks'] = verdict['checks'][:1]\n" + WRITE),
    forged("a promotion of a stage that accepts", MINIMAL + "verdict['decision'] = 'promote'\n" + WRITE),
    forged("half of a file", MINIMAL + "(folder.path / 'verdict.json').write_text(json.dumps(verdict)[:90])"),
    forged("a FIFO", "os.mkfifo(folder.path / 'verdict.json')"),
    forged("a folder", "(folder.path / 'verdict.json').mkdir()"),
    forged("a link", MINIMAL + "(folder.path / 'else').write_text(json.dumps(verdict))\n"
           "(folder.path / 'verdict.json').symlink_to('else')"),
    forged("a list", "(folder.path / 'verdict.json').write_text('[]')"),
    forged("numbers without an end", "(folder.path / 'verdict.json').write_text('[' * 100000)"),
    forged("a folder that was moved away", "folder.path.rename(folder.path.with_name('moved'))"),
)  # fmt: skip


PF_EXITING = 4
"""Flag of a process that has begun to end, a zombie too (linux/sched.h)."""
WAITS = "@described('t.case')\ndef test_case(check):\n    import time\n    open('started', 'w').close()\n    time.sleep(600)\n"


def stopped(way: str, *signals: signal.Signals, group: bool = False) -> Callable[[Suite], Ran]:
    """Start a run, and send it signals while a check runs: to its process, or to its group as a terminal does."""

    def act(suite: Suite) -> Ran:
        suite.checks("case", WAITS)
        process = suite.start(suite.command(way), prepare=_as_at_a_terminal)
        while not (suite.root / "started").exists():
            assert process.poll() is None, process.communicate()
            threading.Event().wait(0.02)
        for number in signals:
            (os.killpg if group else os.kill)(process.pid, number)
        ran = suite.ended(process)
        assert "Traceback" not in ran.err, ran.err
        assert _living_in(process.pid) == [], "processes are left"
        return ran

    return act


def _as_at_a_terminal() -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _living_in(group: int) -> list[int]:
    """Processes of the group that are not at their end: what has closed its output may be ended by Linux still."""
    living = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(stat[2]) == group and not int(stat[6]) & PF_EXITING:
                living.append(int(process.name))
    return living


STOPPED = tuple(
    Try("stop", f"{' and '.join(each.name for each in signals)} {'to the group ' if group else ''}{way}",
        stopped(way, *signals, group=group), (2,), "the run was interrupted")
    for way, signals, group in (
        ("cli", (signal.SIGINT,), False),
        ("cli", (signal.SIGINT,), True),
        ("cli", (signal.SIGINT, signal.SIGINT), True),
        ("cli", (signal.SIGTERM,), True),
        ("cli", (signal.SIGHUP,), False),
        ("cli-n2", (signal.SIGINT,), True),
        ("pytest", (signal.SIGINT,), True),
        ("pytest", (signal.SIGHUP,), False),
    )
)  # fmt: skip


def shell(command: str) -> Callable[[Suite], Ran]:
    """Run a command line of the shell in the project; `{verify}` and `{pytest}` are the two ways to run the stage."""

    def act(suite: Suite) -> Ran:
        text = command.replace("{verify}", " ".join(suite.command("cli"))).replace(
            "{pytest}", " ".join(suite.command("pytest"))
        )
        return suite.ended(suite.start(["bash", "-c", text.replace("{python}", sys.executable)]))

    return act


OUTPUT = tuple(
    Try("output", f"{command}", shell(command), (0,))
    for command in (
        "{verify} | true; exit ${PIPESTATUS[0]}",
        "{verify} | head -1; exit ${PIPESTATUS[0]}",
        "{verify} >/dev/full 2>/dev/full",
        "{verify} >&- 2>&- <&-",
        "{pytest} | true; exit ${PIPESTATUS[0]}",
        "{pytest} >/dev/full 2>/dev/full",
        "{pytest} >&- 2>&-",
        "{verify} -v >/dev/full",
        "{verify} -s | true; exit ${PIPESTATUS[0]}",
    )
)

POISON = "raise SystemExit(open('poisoned', 'w').close() or 0)"
HERE = (
    "mkdir -p here && cd here && for m in json pytest tomllib base64 opsverify_x conftest allure_pytest; do "
    f"echo \"{POISON}\" > $m.py; done && printf '[pytest]\\npython_files = x.py\\n' > pytest.ini && "
)
VERIFY_HERE = "-m opsverify verify daily --target t; code=$?; test ! -e poisoned || exit 99; exit $code"
INTERPRETER = (
    Try("interpreter", "modules in the current folder", shell(HERE + "{python} " + VERIFY_HERE), (0,)),
    Try("interpreter", "the same, two workers", shell(HERE + "{python} " + VERIFY_HERE.replace("t;", "t -n 2;", 1)), (0,)),
    Try("interpreter", "PYTHONPATH=.", shell(HERE.replace("json ", "", 1) + "PYTHONPATH=. {python} " + VERIFY_HERE), (0,)),
    Try("interpreter", "python -O", shell("{python} -O -m opsverify verify daily --target t"), (4,), "-O"),
    Try("interpreter", "python -O -m pytest", shell("{python} -O -m pytest --stage daily --target t"), (4,), "-O"),
    Try("interpreter", "PYTHONOPTIMIZE", shell("PYTHONOPTIMIZE=2 {verify}"), (4,), "-O"),
    Try("interpreter", "a limit of open files", shell("ulimit -n 12; {verify}"), (0, *HOLDS)),
    Try("interpreter", "a limit of memory", shell("ulimit -v 60000; {verify}"), HOLDS),
    Try("interpreter", "no home, no temporary folder", shell("HOME=/nowhere TMPDIR=/nowhere {verify}"), (0, *HOLDS)),
)  # fmt: skip


def two_at_once(suite: Suite) -> Ran:
    """Start a second run into the folder of one that lives."""
    suite.checks("case", WAITS)
    command = suite.command("cli", ("--report-dir=evidence",))
    first = suite.start(command)
    while not (suite.root / "started").exists():
        assert first.poll() is None, first.communicate()
        threading.Event().wait(0.02)
    second = suite.ended(suite.start(command))
    assert not (suite.root / "evidence" / "verdict.json").exists()
    first.terminate()
    assert suite.ended(first).code == 2
    assert (suite.root / "evidence" / "verdict.json").exists()
    return second


def after_a_killed_one(suite: Suite) -> Ran:
    """Run again into the folder of a run that was killed: its lock died with it."""
    suite.checks("case", WAITS)
    command = suite.command("pytest", ("--report-dir=evidence",))
    first = suite.start(command)
    while not (suite.root / "started").exists():
        assert first.poll() is None, first.communicate()
        threading.Event().wait(0.02)
    first.kill()
    first.communicate()
    (suite.root / "checks" / "test_case.py").unlink()
    return suite.ended(suite.start(command))


FOLDERS = (
    Try("report folder", "two runs at once", two_at_once, (4,), "another run writes there"),
    Try("report folder", "after a killed run", after_a_killed_one, (0,)),
    Try("report folder", "a file of that name", Stage(args=("--report-dir=pyproject.toml",)), (4,)),
)

TRIES = (*ENDS, *FORGED, *STOPPED, *OUTPUT, *INTERPRETER, *FOLDERS)
