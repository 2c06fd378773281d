"""Random tries, with a fixed number of examples: options, environments, kills, edits of the evidence."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.config import get_config
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from opsverify.errors import EvidenceError
from opsverify.evidence.manifest import MANIFEST
from opsverify.pytest_plugin.verdict_file import exit_code_in
from tests.attack.tries import WARM, project
from tests.attack.warm import BEGUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pytest_plugin.suite import Ran

FEW = settings(max_examples=35, database=None, suppress_health_check=list(HealthCheck))
"""Each example is a run of its own, of some 0.4 s."""
MANY = settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))

LEFT_OUT = frozenset(
    {"--basetemp", "--debug", "--pastebin", "--pdb", "--trace", "-f", "--looponfail", "--stage", "--target"}
)
"""Options that remove a folder, write one, send the output away, or wait for a person or for a change."""
VALUES = ("", "no", "0", "1", "whole", "checks", "narrow.ini", "not opsverify", "evil", "no:python", "auto", "x=y")


def _options() -> Iterator[str]:
    """Every option that pytest, its parts and xdist declare."""
    config = get_config()
    config.pluginmanager.import_plugin("xdist.plugin")
    for group in (*config._parser._groups, config._parser._anonymous):
        for option in group.options:
            yield from option.names()


OPTIONS = sorted(set(_options()) - LEFT_OUT)
ARGUMENTS = st.lists(
    st.one_of(
        st.sampled_from(OPTIONS).map(lambda name: [name]),
        st.tuples(st.sampled_from(OPTIONS), st.sampled_from(VALUES)).map(list),
        st.tuples(st.sampled_from(OPTIONS), st.sampled_from(VALUES)).map(lambda pair: ["=".join(pair)]),
    ),
    max_size=3,
).map(lambda groups: [argument for group in groups for argument in group])
VARIABLES = st.dictionaries(
    st.sampled_from((
        "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_DEBUG", "PYTEST_THEME", "PYTEST_XDIST_WORKER",
        "PYTEST_CURRENT_TEST", "PYTEST_XDIST_AUTO_NUM_WORKERS", "PY_COLORS", "FORCE_COLOR", "NO_COLOR", "COLUMNS",
        "LINES", "TERM", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR", "CI", "BUILD_NUMBER", "PYTHONPATH", "PATH",
        "ALLURE_TESTPLAN_PATH",
        "ALLURE_LABEL_x",
    )),
    st.sampled_from(("", "0", "1", "evil", "no", "/nowhere", "ko_KR.UTF-8", "dumb", "gw0", "\udcff", "../..")),
    max_size=4,
)  # fmt: skip


def assert_honest(ran: Ran) -> None:
    """Only a verdict over both checks ends with 0, and nothing here is a measured failure."""
    event(f"exit {ran.code}")
    assert ran.code != 1, str(ran)
    if ran.code == 0:
        assert ran.verdict is not None, str(ran)
        assert ran.verdict["decision"] == "accept"
        assert ran.outcomes == {"t.whole": "pass", "t.other": "pass"}


@contextlib.contextmanager
def a_project() -> Iterator[Any]:
    """A project of its own for an example."""
    # A child of a killed run may still write while the folder is removed: that is not what is asked here.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield project(Path(folder) / "project")


@FEW
@given(arguments=ARGUMENTS, variables=VARIABLES, by_environment=st.booleans())
def test_options_and_environments(arguments: list[str], variables: dict[str, str], *, by_environment: bool) -> None:
    """Whatever pytest is told: a decision is made over the whole plan, or not at all."""
    assume(
        not {"-n", "--numprocesses", "--maxprocesses", "--tx", "--px", "--rsyncdir"}
        & {each.partition("=")[0] for each in arguments}
    )
    with a_project() as suite:
        (suite.root / "narrow.ini").write_text("[pytest]\npython_files = test_whole.py\n")
        (suite.root / "evil.py").write_text("def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n")
        suite.variables.update(variables)
        if by_environment:
            suite.variables["PYTEST_ADDOPTS"] = " ".join(f"'{each}'" for each in arguments)
            arguments = []
        assert_honest(WARM.run(suite, arguments))


@FEW
@given(
    after_s=st.floats(0, 0.5),
    number=st.sampled_from(
        (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGSEGV)
    ),
    child=st.booleans(),
)
def test_kills(after_s: float, number: signal.Signals, *, child: bool) -> None:
    """At whatever moment a signal comes, to the command line or to its child."""
    with a_project() as suite:
        process = WARM.start(suite)
        while not (suite.root / BEGUN).exists():
            assert process.is_alive()
            process.join(0.01)
        process.join(after_s)
        for pid in _children(process.pid) if child else [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        ran = WARM.ended(suite, process)
        assert_honest(ran)
        by_signal = ran.code < 0 or ran.code == 128 + signal.SIGINT  # after the program's end, of which nothing is left
        if ran.verdict is not None and ran.folder is not None and not by_signal:
            assert exit_code_in(ran.folder, ran.verdict["run_id"]) == ran.code


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run that was accepted."""
    ran = WARM.run(project(tmp_path_factory.mktemp("finished") / "project"))
    assert ran.code == 0, str(ran)
    return ran


@MANY
@given(st.data())
def test_edits_of_the_evidence(finished: Ran, data: st.DataObject) -> None:
    """An edited folder never gives another decision, and an edit of what the manifest covers none."""
    assert finished.folder is not None
    assert finished.verdict is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place) / "run"
        shutil.copytree(finished.folder, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        edited = data.draw(st.sampled_from(files))
        kind = data.draw(st.sampled_from(sorted(EDITS)))
        EDITS[kind](edited, data)
        try:
            code = exit_code_in(folder, finished.verdict["run_id"])
        except EvidenceError:
            event("refused")
            return
        assert code == 0
        outside = {"verdict.json"} | ({MANIFEST} if kind == "touched" else set())
        assert edited.name in outside or kind == "touched", f"{edited.name} {kind}"


def _flipped(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    assume(content)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)


def _cut(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    assume(content)
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])


def _linked(path: Path, _data: st.DataObject) -> None:
    path.rename(path.with_name("else"))
    path.symlink_to("else")


EDITS: dict[str, Callable[[Path, st.DataObject], object]] = {
    "flipped": _flipped,
    "cut": _cut,
    "removed": lambda path, _data: path.unlink(),
    "added": lambda path, _data: path.with_name("more.json").write_text("{}"),
    "appended": lambda path, _data: path.write_bytes(path.read_bytes() + b"{}"),
    "linked": _linked,
    "touched": lambda path, _data: os.utime(path, (0, 0)),
}
