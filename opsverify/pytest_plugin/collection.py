"""Collection: what pytest collected from the suites, and what it did not although it should have.

Whatever hides a check (an error, a skip of a whole module, a file that was passed over, a hook that drops tests)
is a trouble of the run, and a run with troubles holds.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.core import pinned
from opsverify.core.pinned import PINS, REPIN, PinnedCheck
from opsverify.core.spec import Absent, CheckSpec, PerTarget, Row, Unknown
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from opsverify.core.plan import Planned

TEST_FILES = ("test_*.py", "*_test.py")
_SYNTAX = re.compile(r"\b(SyntaxError|IndentationError|TabError)\b")
_PLACE = re.compile(r'File "[^"\n]*", line (\d+)')


class Collection:
    """Hooks that follow the collection; `collected` holds every test before any plugin can deselect it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.collected: list[pytest.Item] = []
        self.troubles: list[str] = []
        self._generated: set[str] = set()
        self._modules: set[Path] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A file that cannot be collected, or skips itself, hides checks: the stage holds."""
        report = yield
        if isinstance(collector, pytest.Module):
            self._modules.add(collector.path)
        if not report.passed and not any(trouble.startswith(f"{report.nodeid}: ") for trouble in self.troubles):
            name, why = report.nodeid, _last_line(report)
            self.troubles.append(
                say("{name}: cannot be collected, its checks are unknown: {why}", name=name, why=why)
                if report.failed
                else say("{name}: skips itself as a whole: {why}", name=name, why=why)
            )
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> Generator[None]:
        """Give a test its `@per` rows, and note what it becomes: a test that a hook drops later is then noticed."""
        marks: list[PerTarget] = getattr(metafunc.function, "opsverify_per", [])
        marker = metafunc.definition.get_closest_marker("opsverify")
        for mark in marks:
            rows = self.rows_of(mark, marker.args[0] if marker else None)
            ids = ["none" if isinstance(row, Absent | Unknown) else mark.name(row) for row in rows]
            metafunc.parametrize(mark.argument, rows, ids=ids)
        yield
        name = metafunc.definition.nodeid
        calls = metafunc._calls  # noqa: SLF001 - the one place where pytest has them
        self._generated |= {f"{name}[{call.id}]" for call in calls} or {name}

    def rows_of(self, mark: PerTarget, spec: CheckSpec | None) -> list[Any]:  # noqa: ARG002 - for those with a target
        """The rows of a test; without a target a single one that stands for all."""
        return [Absent(mark.what)]

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note every item as it is collected, before any plugin can deselect it."""
        self.collected.append(item)

    def note_uncollected(self) -> None:
        """Add a trouble for every test file, and every generated test, that was not collected."""
        for suite in suites_in(self.config):
            files = {path for pattern in TEST_FILES for path in suite.rglob(pattern)}
            self.troubles += [
                say(
                    "{relative_to}: not collected (a folder or setting that pytest passes over); move or rename it",
                    relative_to=path.relative_to(suite.parent),
                )
                for path in sorted(files - self._modules)
            ]
        dropped = self._generated - {item.nodeid for item in self.collected}
        self.troubles += [
            say("{nodeid}: not collected although it is defined: a hook removed it", nodeid=nodeid)
            for nodeid in sorted(dropped)
        ]


def suites_in(config: pytest.Config) -> tuple[Path, ...]:
    """The folders that the run collects from."""
    return tuple(folder for folder in map(Path, config.args) if folder.is_dir())


def spec_of(item: pytest.Item) -> CheckSpec | None:
    """The specification of a check: its row's, or its `@runbook`; None if the item is no check."""
    for value in parameters_of(item)[0].values():
        if isinstance(value, Row):
            return value.spec
    marker = item.get_closest_marker("opsverify")
    return marker.args[0] if marker else None


def parameters_of(item: pytest.Item) -> tuple[Mapping[str, object], str | None]:
    """The parameters of a test, and their id; None for one without."""
    callspec = getattr(item, "callspec", None)
    return (callspec.params, callspec.id) if callspec else ({}, None)


def locate(items: Iterable[pytest.Item]) -> None:
    """Tell the tests of one function where it stands; pytest would look for its file and line for each of them."""
    known: dict[object, tuple[str, int | None]] = {}
    for item in items:
        if isinstance(item, pytest.Function):
            place = known.get(item.function)
            if place is None:
                known[item.function] = item.location[:2]
            else:
                item.location = (*place, item.getmodpath())


def refuse_duplicates(checks: Iterable[Planned]) -> None:
    """Raise UsageError where two checks of a plan have one id: a result could then not be told from the other's."""
    seen: dict[str, str | None] = {}
    for check in checks:
        if check.id in seen:
            raise pytest.UsageError(
                say(
                    "check id {id}: used twice, by {seen} and {nodeid}; rename one",
                    id=check.id,
                    seen=seen[check.id],
                    nodeid=check.nodeid,
                )
            )
        seen[check.id] = check.nodeid


def functions_in(suite: Path, items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, str]]:
    """Of `items` the tests of a suite, each with its file, relative to the suite, and its function without parameters.

    A function may have thousands of tests: what a file is called is found once.
    """
    names: dict[Path, str | None] = {}
    for item in items:
        if item.path not in names:
            within = item.path.is_relative_to(suite)
            names[item.path] = item.path.relative_to(suite).as_posix() if within else None
        if (file := names[item.path]) is not None:
            yield item, f"{file}::{item.nodeid.partition('::')[2].removesuffix(f'[{parameters_of(item)[1]}]')}"


def runnable(item: pytest.Item, check: Planned) -> Planned:
    """`check` as planned; with the reason why it cannot run where its function is one that pytest does not run."""
    function = inspect.unwrap(getattr(item, "function", None) or runnable)
    if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        return check
    if check.not_applicable:
        return check
    return replace(check, cannot_run=say("an async function, which measures nothing; write def in place of async def"))


def is_absent(item: pytest.Item) -> bool:
    """Whether the target has no rows for this test."""
    return any(isinstance(value, Absent) for value in parameters_of(item)[0].values())


def pins_of(suite: Path, troubles: list[str]) -> tuple[PinnedCheck, ...]:
    """The pinned checks of a suite; what is wrong with its list goes to `troubles`."""
    path = suite / PINS
    name = f"{suite.name}/{PINS}"
    try:
        return pinned.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(any(suite.rglob(pattern)) for pattern in TEST_FILES):
            troubles.append(
                say(
                    "{name}: missing, so that a lost check would not be noticed; write it: {repin}",
                    name=name,
                    repin=REPIN,
                )
            )
    except (OSError, ValueError) as error:
        troubles.append(
            say("{name}: not a list of checks ({error}); write it anew: {repin}", name=name, error=error, repin=REPIN)
        )
    return ()


class PinPlugin(Collection):
    """Hooks that read the checks out of the suites, without a stage and without a target."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note what was not collected; run nothing."""
        self.note_uncollected()
        items.clear()

    def found(self) -> dict[Path, dict[str, PinnedCheck]]:
        """The checks of every suite, by suite and id. An item that is no check is a trouble."""
        found: dict[Path, dict[str, PinnedCheck]] = {suite: {} for suite in suites_in(self.config)}
        for suite, checks in found.items():
            for item, test in functions_in(suite, self.collected):
                if (check := self._pinned(item, test)) is not None:
                    checks[check.id] = check
        return found

    def _pinned(self, item: pytest.Item, test: str) -> PinnedCheck | None:
        spec = spec_of(item)
        if spec is None:
            if is_absent(item):
                return PinnedCheck(test, test)
            self.troubles.append(say("{nodeid}: a test in a suite needs @runbook(...)", nodeid=item.nodeid))
            return None
        parameters, name = parameters_of(item)
        family = not name or any(isinstance(value, Absent | Row) for value in parameters.values())
        check_id = spec.id if family else f"{spec.id}[{name}]"
        return PinnedCheck(check_id, test, spec.stages, spec.lines, spec.severity, spec.ko, spec.en)


def _last_line(report: pytest.CollectReport) -> str:
    longrepr = report.longrepr
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else report.longreprtext
    if not text.strip():
        return say("no reason")
    last = text.strip().splitlines()[-1]
    # Of a file that is no Python the last line says only what: pytest shows the place above it, in a line of its own.
    places = _PLACE.findall(text) if _SYNTAX.search(last) else []
    return say("{error} (line {line})", error=last, line=places[-1]) if places else last
