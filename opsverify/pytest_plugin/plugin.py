"""Plugin of pytest: every hook but those of the collection. Without `--stage` it does nothing.

With a stage it fixes the plan from what was collected before anything was deselected, turns each test into
one `CheckResult`, and replaces pytest's exit status by the verdict's. Under pytest-xdist the controller
collects as well (its plan must not depend on workers that may die) and results travel on the reports.
"""

from __future__ import annotations

import datetime as dt
import gc
import sys
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.core.exit_codes import ExitCode
from opsverify.core.pinned import PINS, REPIN, missing, unpinned
from opsverify.core.plan import planned
from opsverify.core.run_delay import excused
from opsverify.core.runbook import lines
from opsverify.core.spec import Absent, CheckSpec, PerTarget, Unknown
from opsverify.core.waivers import waivers_of_no_check
from opsverify.errors import Inconclusive, TargetError
from opsverify.evidence.run_folder import RunFolder
from opsverify.language.message import in_language, join, say
from opsverify.pytest_plugin import garbage
from opsverify.pytest_plugin.collection import (
    Collection,
    PinPlugin,
    functions_in,
    is_absent,
    locate,
    parameters_of,
    pins_of,
    refuse_duplicates,
    runnable,
    spec_of,
    suites_in,
)
from opsverify.pytest_plugin.early_guard import guard_early
from opsverify.pytest_plugin.exit_status import conclude, exit_status, guard_exit, unwritten
from opsverify.pytest_plugin.launch import Launch
from opsverify.pytest_plugin.options import declare, is_stage_given, request_of, use_suites
from opsverify.pytest_plugin.own_schedule import OwnSchedule
from opsverify.pytest_plugin.progress import report_progress
from opsverify.pytest_plugin.request import resolve
from opsverify.pytest_plugin.settings import refuse_narrowing, refuse_settings
from opsverify.pytest_plugin.stage_run import StageRun
from opsverify.pytest_plugin.stop_signal import StopSignal, handle_stops
from opsverify.pytest_plugin.streams import end_output_at_exit, make_output_tolerant
from opsverify.pytest_plugin.terminal import Screen, guard_terminal, print_missing_summary
from opsverify.units import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from opsverify.config.model import Target
    from opsverify.core.pinned import PinnedCheck
    from opsverify.core.plan import Planned
    from opsverify.core.stages import Stage
    from opsverify.evidence.allure import AllureRecorder

RUN_FOLDER = "opsverify_run"
SUITES = "opsverify_suites"
FIXTURES = (
    "probes",
    "canary",
    "smoke",
    "recovery",
    "switchback",
    "periodic",
    "rights",
    "daily",
    "playbook",
    "people",
    "llmops",
)
"""Modules of fixtures, loaded for a stage run only."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options of a stage run."""
    guard_early(sys.argv, Path.cwd(), pluginmanager)
    declare(parser.getgroup("opsverify", "operational verification"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin's class when a stage is given."""
    if not config.option.stage:
        return
    refuse_settings(config)
    if config.option.opsverify_plan:
        use_suites(config)
        config.pluginmanager.register(PlanPlugin(config), "opsverify-plan")
        return
    refuse_narrowing(config)
    run = _begin(config)
    config.pluginmanager.register(StagePlugin(config, run), "opsverify-stage")
    for name in FIXTURES:
        config.pluginmanager.import_plugin(f"opsverify.pytest_plugin.fixtures.{name}")
    from opsverify.pytest_plugin.fixtures.probes import RUN_FIXTURES, RunFixtures  # noqa: PLC0415 - as the others

    config.pluginmanager.register(RunFixtures(run), RUN_FIXTURES)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """For a stage, let no crash end in 1 (which means rollback), and no path without a verdict in 0."""
    if not is_stage_given(config):
        return (yield)
    make_output_tolerant()
    end_output_at_exit()
    try:
        status = yield
    except pytest.UsageError as error:
        language = Launch.language_of(config)
        raise pytest.UsageError(*(in_language(text, language) for text in error.args)) from error
    except KeyboardInterrupt:  # before the session, or after it: there is no verdict to come
        plugin = config.pluginmanager.get_plugin("opsverify-stage")
        return exit_status(ExitCode.INTERRUPTED, plugin.run.concluded if plugin else None)
    except Exception:  # noqa: BLE001 - Python would exit with 1, which pipelines read as a measured failure
        plugin = config.pluginmanager.get_plugin("opsverify-stage")
        trace = traceback.format_exc()
        if not (plugin and plugin.is_worker):  # a worker that Ctrl-C reached too: its controller tells what was lost
            sys.stderr.write(plugin.run.redactor.text(trace) if plugin else trace)
        return ExitCode.INTERNAL_ERROR
    finally:
        make_output_tolerant()  # again: pytest has put back what it captured, and will print and flush
    plugin = config.pluginmanager.get_plugin("opsverify-stage")
    return exit_status(int(status), plugin.run.concluded if plugin else None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run checks outside a stage: without a target they could measure nothing."""
    pinning = any(isinstance(plugin, PinPlugin) for plugin in config.pluginmanager.get_plugins())
    if not config.option.stage and not pinning and any(item.get_closest_marker("opsverify") for item in items):
        raise pytest.UsageError(
            say("missing --stage: checks run in a stage; pytest --stage STAGE --target TARGET (opsverify plan --help)")
        )


class PlanPlugin(Collection):
    """Hooks that determine the plan from the suites and the target; they contact nothing."""

    def __init__(self, config: pytest.Config, resolved: tuple[Stage, Target] | None = None) -> None:
        super().__init__(config)
        self.planned: dict[str, Planned] = {}
        self.unpinned: tuple[str, ...] = ()
        self.elsewhere: set[str] = set()
        try:
            self.stage, self.target = resolved or resolve(request_of(config), config.rootpath)
            self.lines = lines()  # a fault of the own runbook is told before any suite's
        except TargetError as error:
            raise pytest.UsageError(join("\n", error.problems)) from error

    def rows_of(self, mark: PerTarget, spec: CheckSpec | None) -> list[Any]:
        """The target's rows; none become one `Absent`, which makes the check not applicable."""
        if spec is not None and self.stage.name not in spec.stages:
            return [Absent(mark.what)]
        try:
            return list(mark.rows(self.target)) or [Absent(mark.what)]
        except Inconclusive as error:
            return [Unknown(str(error))]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Fix the plan, and leave only what the stage runs."""
        today = dt.datetime.now(dt.UTC).date()
        for item in self.collected:
            spec = spec_of(item)
            if spec is None and is_absent(item):
                continue
            if spec is None:
                raise pytest.UsageError(say("{nodeid}: a test in a suite needs @runbook(...)", nodeid=item.nodeid))
            if self.stage.name in spec.stages:
                check = planned(spec, self.target, item.nodeid, *parameters_of(item), today, self.lines)
                self.planned[item.nodeid] = runnable(item, check)
            else:
                self.elsewhere.add(spec.id)
        refuse_duplicates(self.planned.values())
        if not hasattr(self.config, "workerinput"):
            self.note_uncollected()
            self._compare_with_pins()
        items[:] = [
            item
            for item in items
            if (entry := self.planned.get(item.nodeid)) and not (entry.not_applicable or entry.cannot_run)
        ]
        locate(items)

    def waivers_of_no_check(self, target: Target) -> list[str]:
        """A remark on each waiver of `target` that names no check of any stage, with the nearest."""
        known = {check.id for check in self.planned.values()}
        return [
            say("{key}: {text}; it has no effect", key=key, text=text)
            for key, text in waivers_of_no_check(target, known, self.elsewhere)
        ]

    def _compare_with_pins(self) -> None:
        """Plan what a suite's list has and the collection lacks: it holds, by name."""
        ids = [check.id for check in self.planned.values()]
        pinned: list[PinnedCheck] = []
        by_function: set[str] = set()
        for suite in suites_in(self.config):
            pins = pins_of(suite, self.troubles)
            pinned += pins
            functions = {item.nodeid: test for item, test in functions_in(suite, self.collected)}
            alone = {pin.test for pin in pins if pin.function_only}
            by_function |= {nodeid for nodeid, function in functions.items() if function in alone}
            self.troubles += [
                say(
                    "{name}/{test}: pinned in {name}/{pins} and not collected",
                    name=suite.name,
                    test=pin.test,
                    pins=PINS,
                )
                for pin in pins
                if pin.function_only and pin.test not in functions.values()
            ]
            for pin in missing(pins, self.stage.name, ids):
                self.planned[f"{suite.name}/{PINS}::{pin.id}"] = pin.not_collected(suite.name, self.target)
        named_alone = [check.id for nodeid, check in self.planned.items() if nodeid not in by_function]
        self.unpinned = unpinned(pinned, named_alone) if pinned else ()


class StagePlugin(PlanPlugin):
    """Hooks of a stage run; all its state is in `run`."""

    def __init__(self, config: pytest.Config, run: StageRun) -> None:
        super().__init__(config, (run.stage, run.target))
        self.run = run
        self.troubles = run.troubles
        self.is_worker = hasattr(config, "workerinput")
        self.stop = StopSignal()
        self.screen: Screen
        self.recorder: AllureRecorder
        self.schedule = OwnSchedule()
        self.before_verdict: list[Callable[[], object]] = []
        self.undo: list[Callable[[], object]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Collect in xdist's controller too, where xdist itself would not."""
        if self.config.pluginmanager.has_plugin("dsession"):
            session.perform_collect()
            if session.testsfailed and not self.config.option.continue_on_collection_errors:
                raise session.Interrupted(
                    say("{testsfailed} errors during collection", testsfailed=session.testsfailed)
                )
            session.items, session.testscollected = [], 0
        return (yield)

    def pytest_collection_finish(self) -> None:
        """Write the plan down before the first check runs."""
        if not self.is_worker:
            self.run.fix_plan(self.planned.values())
            if self.unpinned:
                unseen = listed(say("not in any {pins}, their loss would not be noticed", pins=PINS), self.unpinned)
                self.run.remarks.append(say("{unseen}; write it anew: {command}", unseen=unseen, command=REPIN))
            self.run.remarks += self.waivers_of_no_check(self.run.as_written)
        if Launch.of(self.config) is not None:
            garbage.resume()
            return
        gc.freeze()  # collected items live to the end: scanning them at every collection costs time
        self.undo.append(gc.unfreeze)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist ships no types
        """Hand the run's id and folder to a worker, and the suites: xdist hands on what was given, and none was."""
        node.workerinput[RUN_FOLDER] = (self.run.folder.run_id, str(self.run.folder.path))
        node.workerinput[SUITES] = self.config.args

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Guard every sink, and on a signal stop so that the verdict is still written."""
        from opsverify.evidence.allure import record_checks  # noqa: PLC0415 - a plan needs no Allure

        self.schedule.start()
        self.undo.append(self.schedule.stop)
        run = self.run
        self.recorder, undo = record_checks(self.config, run.allure_dir, run.target, run.stage.name, run.redactor)
        self.undo.append(undo)
        self.run.say = partial(report_progress, self.run.folder.path, self.run.target.language)
        if self.is_worker:
            guard_terminal(self.config, self.run.redactor)
        else:
            self.screen = Screen(self.config, self.run)
            self.screen.start()
            self.before_verdict.append(self.screen.stop)
        if not self.is_worker and threading.current_thread() is threading.main_thread():
            self.undo.append(handle_stops(self.stop))
            self.undo.append(guard_exit())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> None:
        """Stop where a signal was swallowed: a client library may turn KeyboardInterrupt into another error."""
        if self.stop.requested:
            raise KeyboardInterrupt(self.stop.requested)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Give the item its check, before its fixtures are set up."""
        from opsverify.pytest_plugin.outcomes import start_check  # noqa: PLC0415

        start_check(item, self.planned[item.nodeid], self.run, self.recorder)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """When the body has ended, judge its measurements; times that this machine spoilt are none."""
        from opsverify.pytest_plugin.outcomes import running_check  # noqa: PLC0415

        check, mark = running_check(pyfuncitem), self.schedule.mark()
        try:
            result = yield
            check.conclude()
        except Exception as error:
            if (busy := excused(check, error, mark.delay)) is not None:
                raise busy from error
            raise
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn the phases of a test into one result, and its report into one clean line."""
        from opsverify.pytest_plugin.outcomes import note_phase  # noqa: PLC0415

        report = yield
        note_phase(item, call, report, self.recorder, self.run.redactor)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect results; a report without one comes from a worker that died."""
        from opsverify.pytest_plugin.outcomes import result_on  # noqa: PLC0415

        if self.is_worker or (self.stop.requested and not self.config.pluginmanager.has_plugin("dsession")):
            return  # the check that was interrupted: whatever it made of that, it did not measure to its end
        result = result_on(report)
        if result is not None:
            self.run.results[result.id] = result
            self.screen.result(self.planned[report.nodeid], result)
        elif report.when not in ("setup", "call", "teardown"):
            self.run.lost[report.nodeid] = say(
                "lost with its process: {line}", line=str(report.longrepr).splitlines()[0]
            )

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Write what was recorded of the check, after all other plugins could add to it."""
        self.recorder.close()

    def pytest_internalerror(self, excrepr: object) -> None:
        """An internal error of pytest or of a plugin is a reason to hold."""
        self.troubles.append(say("internal error: {line}", line=str(excrepr).strip().splitlines()[-1]))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """An interrupted run is not a complete one."""
        self.troubles.append(say("the run was interrupted ({kind})", kind=excinfo.exconly().strip()))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
        """Write the verdict after all other plugins, also where one raises; its exit code is pytest's."""
        status = int(exitstatus)
        try:
            return (yield)
        except KeyboardInterrupt:  # while fixtures were torn down
            status = ExitCode.INTERRUPTED
            return None
        except BaseException as error:
            self.troubles.append(say("end of the run aborted: {kind}: {error}", kind=type(error).__name__, error=error))
            status = ExitCode.INTERNAL_ERROR
            raise
        finally:
            self.stop.shielded = True
            if Launch.of(self.config) is not None:
                garbage.rest()
            self._close_interrupted()
            while self.before_verdict:
                self.before_verdict.pop()()
            if self.stop.requested or status == ExitCode.INTERRUPTED:
                status = self._interrupted(status)
            if not self.is_worker:
                session.exitstatus = conclude(self.run, status)
                print_missing_summary(self.run, status)

    def _close_interrupted(self) -> None:
        """Write what a check had recorded that did not come to its end."""
        try:
            self.recorder.close()
        except Exception as error:  # noqa: BLE001 - the verdict is still to be written
            self.troubles.append(unwritten(self.run, error))

    def _interrupted(self, status: int) -> int:
        """The status of an interrupted run; the reason is one of the verdict's."""
        if self.stop.requested and not any("interrupted" in trouble for trouble in self.troubles):
            self.troubles.append(self.stop.trouble())
        return ExitCode.INTERRUPTED if self.stop.requested else status

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """Print nothing of pytest's own for a test: the check has a line of its own."""
        return "", "", ""

    def pytest_terminal_summary(self) -> None:
        """End with the verdict."""
        self.screen.end()

    def pytest_unconfigure(self) -> None:
        """Undo everything that would affect a later session in the same process."""
        while self.undo:
            self.undo.pop()()
        if Launch.of(self.config) is not None:
            garbage.rest()  # pytest would search all that it holds for cycles
        if not self.is_worker:
            self.run.folder.release()


def _begin(config: pytest.Config) -> StageRun:
    options = config.option
    if not options.target:
        raise pytest.UsageError(say("--stage needs --target NAME_OR_FILE"))
    workerinput = getattr(config, "workerinput", None)
    folder = None
    if workerinput is None:
        use_suites(config)
    else:
        run_id, path = workerinput[RUN_FOLDER]
        folder = RunFolder(run_id, Path(path))
        config.args = list(workerinput[SUITES])
    try:
        run = StageRun.begin(request_of(config), config.rootpath, folder)
    except TargetError as error:
        raise pytest.UsageError(join("\n", error.problems)) from error
    if (launch := Launch.of(config)) is not None:
        launch.announce(run.folder)
    options.allure_report_dir = str(run.allure_dir)
    if options.xmlpath and workerinput is None:  # ours: pytest's own has neither hold nor redaction
        run.junit = (config.invocation_params.dir / options.xmlpath).absolute()
    options.xmlpath = None
    run.verbose = options.verbose > 0
    options.verbose, options.tbstyle, options.no_header = -2, "no", True
    if not config.pluginmanager.has_plugin("allure_pytest"):
        config.pluginmanager.import_plugin("allure_pytest.plugin")
        if not config.pluginmanager.has_plugin("allure_pytest.plugin"):
            raise pytest.UsageError(say("-p no:allure_pytest.plugin: the evidence needs Allure; leave the option out"))
    return run
