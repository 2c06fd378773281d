"""A loaded secret, planted wherever it might slip out, is in no file and no output of the run."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.pytest_plugin.suite import SECRET

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

LEAKS = f"""
import base64, json, warnings
from urllib.parse import quote
SECRET = os.environ["PLANTED_SECRET"]

@described("t.exception")
def test_exception(check):
    raise ValueError(f"cannot log in with {{SECRET}}")

@described("t.inconclusive")
def test_inconclusive(check):
    raise Inconclusive(f"no answer from http://user:{{quote(SECRET, safe='')}}@host/")

@described("t.printed")
def test_printed(check):
    print(SECRET, json.dumps(SECRET), file=sys.stdout)
    print(base64.b64encode(SECRET.encode()).decode(), file=sys.stderr)
    logging.getLogger("x").error("token=%s", SECRET)
    assert False, SECRET

@described("t.measured")
def test_measured(check):
    check.expect("header", "Basic " + base64.b64encode(f"user:{{SECRET}}".encode()).decode(), "none")
    check.expect("token", SECRET, "nothing " + SECRET)

@described("t.attached")
def test_attached(check):
    nested = json.dumps({{"t": SECRET}})
    check.attach("answer " + SECRET, json.dumps({{"token": SECRET, "nested": nested}}), "json")
    with check.step("log in as " + SECRET):
        check.measure("x", 0.0, RATE)

@described("t.child")
def test_child(check):
    import subprocess
    code = "import os; print('child', os.environ['PLANTED_SECRET'], flush=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
    subprocess.run([sys.executable, "-c", code.replace("flush", "file=__import__('sys').stderr, flush")], check=True)
    check.measure("x", 0.0, RATE)

@described("t.literal")
def test_literal(check):
    token = {SECRET!r}
    assert token == "{SECRET}x"

@described("t.cause")
def test_cause(check):
    try:
        raise OSError(SECRET)
    except OSError as error:
        raise Inconclusive("odd") from error

@described("t.parameter")
@pytest.mark.parametrize("value", [SECRET])
def test_parameter(check, value):
    warnings.warn(UserWarning(value))
    check.measure("x", 0.5, RATE)

@pytest.fixture
def untidy():
    yield
    raise ValueError(SECRET)

@described("t.teardown")
def test_teardown(check, untidy):
    check.measure("x", 0.0, RATE)
"""


def forms() -> list[bytes]:
    """Every spelling that could be read back: plain, URL, JSON, base64 at each of its three offsets."""
    raw = SECRET.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    plain = [
        raw,
        quote(SECRET, safe="").encode(),
        quote_plus(SECRET).encode(),
        json.dumps(SECRET)[1:-1].encode(),
    ]
    return [*plain, *shifted, repr(raw)[2:-1].encode()]


@pytest.mark.parametrize(
    ("way", "more"), [("cli", ["-s", "-rA", "-l"]), ("cli-n2", []), ("pytest", ["-o", "log_cli=true"])]
)
def test_no_secret_leaves_the_run(suite: Suite, way: str, more: list[str]) -> None:
    """Neither evidence nor terminal holds the secret in any spelling, whatever the check did with it."""
    suite.checks("leaks", LEAKS)
    ran = suite.run(way, more)
    assert ran.verdict is not None, str(ran)
    assert len(ran.verdict["checks"]) == 11
    assert ran.folder is not None
    files = [path for path in ran.folder.rglob("*") if path.is_file()]
    assert any("attachment" in path.name for path in files)
    sinks = {str(path): path.read_bytes() for path in files} | {
        "stdout": ran.out.encode(),
        "stderr": ran.err.encode(),
    }
    found = {name: form for name, text in sinks.items() for form in forms() if form in text}
    assert found == {}


@pytest.mark.parametrize("place", ["collection", "configure"])
def test_no_secret_in_a_crash(suite: Suite, place: str) -> None:
    """An exception outside any check does not print the secret either."""
    body = {
        "collection": "import os\nraise ValueError(os.environ['PLANTED_SECRET'])",
        "configure": "import os\ndef pytest_sessionfinish():\n    raise ValueError(os.environ['PLANTED_SECRET'])",
    }
    name = "test_case.py" if place == "collection" else "conftest.py"
    (suite.root / "checks" / name).write_text(body[place])
    ran = suite.run()
    assert ran.code in (2, 3), str(ran)
    assert "[redacted]" in ran.out + ran.err
    for form in forms():
        assert form not in (ran.out + ran.err).encode()


@pytest.mark.parametrize("way", ["cli", "pytest"])
@pytest.mark.parametrize("place", ["checks/conftest.py", "smoke/conftest.py", "dr_validation/conftest.py"])
def test_no_secret_in_a_conftest_that_fails(suite: Suite, way: str, place: str) -> None:
    """A conftest is imported before a stage begins: what it raises is clean as well."""
    secret = "os.environ['PLANTED_SECRET']"
    (suite.root / place).write_text(f"import os\nprint({secret})\nraise ValueError('no ' + {secret})\n")
    ran = suite.run(way)
    assert ran.code not in (0, 1), str(ran)
    assert "[redacted]" in ran.out + ran.err, str(ran)
    for form in forms():
        assert form not in (ran.out + ran.err).encode()


AT_THE_END = """
import os, sys, time

def pytest_sessionfinish(session):
    print(os.environ["PLANTED_SECRET"], flush=True)
    sys.stderr.write(os.environ["PLANTED_SECRET"])
    open("ending", "w").close()
    # The child that a check left is another process: a file is all that tells of it. It ends where the run does not.
    for _ in range(6000 if any(item.name == "test_child" for item in session.items) else 0):
        if os.path.exists("ended"):
            break
        time.sleep(0.01)
"""
LEFT_CHILD = """
CODE = '''
import os, time
for _ in range(6000):
    if os.path.exists("ending"):
        break
    time.sleep(0.01)
for number in (1, 2):
    os.write(number, os.environ["PLANTED_SECRET"].encode())
open("ended", "w").close()
'''

@described("t.child")
def test_child(check):
    import subprocess
    subprocess.Popen([sys.executable, "-c", CODE])
    check.measure("x", 0.0, RATE)
"""


@pytest.mark.parametrize("way", ["cli", "cli-n2", "pytest"])
def test_what_is_printed_after_the_last_check_is_masked(suite: Suite, way: str) -> None:
    """By a hook, and by a child that a check left: pytest writes out what it still holds of it."""
    (suite.root / "checks" / "conftest.py").write_text(AT_THE_END)
    suite.checks("child", LEFT_CHILD)
    ran = suite.run(way)
    assert "[redacted]" in ran.out
    assert "[redacted]" in ran.err
    assert not [form for form in forms() if form in ran.out.encode() + ran.err.encode()]
    assert ran.verdict is not None
    assert ran.verdict["decision"] == "accept"


AT_EXIT = """
import atexit, logging, os, sys, threading
SECRET = os.environ["PLANTED_SECRET"]

def later():
    threading.main_thread().join()
    os.write(2, SECRET.encode())

def at_exit():
    print(SECRET, flush=True)
    sys.stderr.write(SECRET)
    logging.getLogger("x").error(SECRET)
    os.write(1, SECRET.encode())
    open("at-exit", "w").close()

class Late:
    def __del__(self):
        os.write(2, SECRET.encode())

atexit.register(at_exit)
"""
AFTERWARDS = f"""
{AT_EXIT}
@described("t.late")
def test_late(check):
    sys.late = Late()
    threading.Thread(target=later).start()
    check.measure("x", 0.0, RATE)
"""


@pytest.mark.parametrize(
    ("way", "args"), [("cli", ()), ("cli", ("-s",)), ("cli-n2", ()), ("pytest", ()), ("pytest", ("-s",))]
)
def test_nothing_reaches_the_terminal_after_the_run(suite: Suite, way: str, args: tuple[str, ...]) -> None:
    """Exit functions and threads print when pytest has put the plain streams back, a conftest's as the last of all."""
    (suite.root / "checks" / "conftest.py").write_text(AT_EXIT)
    suite.checks("late", AFTERWARDS)
    ran = suite.run(way, args)
    assert (suite.root / "at-exit").exists()
    assert not [form for form in forms() if form in ran.out.encode() + ran.err.encode()]
    assert ran.verdict is not None
    assert "ACCEPT" in ran.out  # what the run itself printed, to the last line


@pytest.mark.parametrize("way", ["cli", "cli-n2"])
def test_secrets_of_other_targets_are_masked(suite: Suite, way: str) -> None:
    """They lie in the same environment; a check that shows it shows none of them."""
    other = (suite.root / "targets" / "t.toml").read_text().replace('name = "t"', 'name = "other"')
    (suite.root / "targets" / "other.toml").write_text(other.replace("PLANTED_SECRET", "OTHER_SECRET"))
    suite.variables["OTHER_SECRET"] = "of-another-target-77"
    suite.checks("dump", '@described("t.dump")\ndef test_dump(check):\n    raise AssertionError(dict(os.environ))\n')
    ran = suite.run(way)
    assert ran.folder is not None
    assert "of-another-target-77" not in ran.out + ran.err
    files = [path for path in ran.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"of-another-target-77" in path.read_bytes()]
