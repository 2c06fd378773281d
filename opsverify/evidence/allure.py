"""Allure results: labels, titles, steps and attachments of every check."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

import allure
import allure_commons
import pytest
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, Link, Parameter, Status, StatusDetails, TestResult
from allure_commons.types import AttachmentType, LabelType
from allure_commons.utils import now, platform_label, represent
from allure_pytest.listener import AllureListener
from allure_pytest.utils import (
    allure_full_name,
    allure_labels,
    allure_links,
    allure_package,
    allure_title_path,
    pytest_markers,
)

from opsverify.core.runbook import lines
from opsverify.core.stages import Outcome
from opsverify.evidence.allure_writer import RedactingLogger
from opsverify.language.message import in_language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.core.plan import Planned
    from opsverify.core.results import CheckResult
    from opsverify.core.runbook import Line
    from opsverify.evidence.redact import Redactor
    from opsverify.probes.record import Kind

_SEVERITY: Final = {"sev1": "blocker", "sev2": "critical", "sev3": "minor"}
_STATUS: Final = {
    Outcome.PASS: Status.PASSED,
    Outcome.FAIL: Status.FAILED,
    Outcome.INCONCLUSIVE: Status.BROKEN,
    Outcome.NOT_APPLICABLE: Status.SKIPPED,
    Outcome.WAIVED: Status.SKIPPED,
}
_KINDS: Final = {
    "text": AttachmentType.TEXT,
    "json": AttachmentType.JSON,
    "csv": AttachmentType.CSV,
    "html": AttachmentType.HTML,
    "jsonl": AttachmentType.TEXT,
}


class AllureRecorder(AllureListener):  # type: ignore[misc]  # allure ships no types
    """allure-pytest's listener, registered with Allure only: which check ran, and how it ended, the run itself says.

    What a suite's author does with Allure (steps, attachments, `allure.dynamic`, labels on the function) stays.
    A failure of a fixture is in the result of the check that uses it.
    """

    def __init__(self, config: pytest.Config, target: Target, stage: str) -> None:
        super().__init__(config)
        self._target = target
        self._stage = stage
        self._lines = lines()
        self._ran_on = (
            Label(LabelType.HOST, self._host),
            Label(LabelType.THREAD, self._thread),
            Label(LabelType.FRAMEWORK, "pytest"),
            Label(LabelType.LANGUAGE, platform_label()),
        )
        self._names: dict[tuple[object, str], tuple[str, list[str], Label]] = {}
        self._running: tuple[pytest.Item, Planned, TestResult] | None = None

    def attach(self, name: str, body: str, kind: Kind = "text") -> None:
        """Attach `body` to what is running; secrets are removed where the file is written."""
        self.attach_data(body, name, _KINDS[kind], None)

    def step(self, title: str) -> AbstractContextManager[object]:
        """Show what is done inside as one step."""
        step: AbstractContextManager[object] = allure.step(title)
        return step

    def begin(self, item: pytest.Item, planned: Planned) -> None:
        """Begin the result of the check that `item` runs."""
        result = TestResult(uuid=str(uuid.uuid4()), name=planned.id, status=Status.SKIPPED, start=now())
        self.allure_logger.schedule_test(result.uuid, result)
        self._running = item, planned, result

    def end(self, ended: CheckResult, trace: str, report: pytest.TestReport) -> None:
        """Say how the running check ended; `trace` is pytest's text of what stopped it, `report` of its teardown."""
        if self._running is None:
            return
        for name, printed in (("log", report.caplog), ("stdout", report.capstdout), ("stderr", report.capstderr)):
            if printed:
                self.attach(name, printed)
        result = self._running[-1]
        result.status = _STATUS[ended.outcome]
        if ended.outcome is not Outcome.PASS:
            message = in_language(ended.message, self._target.language)
            result.statusDetails = StatusDetails(message=message, trace=trace)

    def close(self) -> None:
        """Write the result of the running check, also of one that was interrupted."""
        if self._running is None:
            return
        item, planned, result = self._running
        self._running = None
        result.stop = now()
        result.name = planned.title(self._target.language)
        result.description = _description(planned, self._lines)
        result.fullName, result.titlePath, package = self._names_of(item)
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            known = {parameter.name for parameter in result.parameters}
            result.parameters += [
                Parameter(name=name, value=represent(value))
                for name, value in item.callspec.params.items()
                if name not in known
            ]
        # Of several labels of one name the last one counts: the plan's.
        result.labels += [Label(name, value) for name, value in allure_labels(item)]
        result.labels += [Label(LabelType.TAG, marker) for marker in pytest_markers(item)]
        result.labels += [*self._ran_on, package, *_labels(planned, self._target, self._stage)]
        result.links += [Link(kind, url, name) for kind, url, name in allure_links(item)]
        result.links += _links(planned, self._target)
        self.allure_logger.close_test(result.uuid)

    def _names_of(self, item: pytest.Item) -> tuple[str, list[str], Label]:
        """Names of the item's function, its file and its package: the same for all its parameters."""
        function = (item.parent, getattr(item, "originalname", item.name))
        if function not in self._names:
            package = Label("package", allure_package(item))
            self._names[function] = allure_full_name(item), allure_title_path(item), package
        return self._names[function]


def record_checks(
    config: pytest.Config, folder: Path, target: Target, stage: str, redactor: Redactor
) -> tuple[AllureRecorder, Callable[[], None]]:
    """Let Allure record checks only, and write without secrets to `folder`; the recorder, and its undoing."""
    manager = allure_commons.plugin_manager
    replaced = [plugin for plugin in manager.get_plugins() if isinstance(plugin, AllureFileLogger | AllureListener)]
    for plugin in replaced:
        manager.unregister(plugin)
    config.pluginmanager.unregister(name="allure_listener")
    recorder = AllureRecorder(config, target, stage)
    ours: tuple[object, ...] = (recorder, RedactingLogger(folder, redactor))
    for plugin in ours:
        manager.register(plugin)

    def undo() -> None:
        for plugin in ours:
            manager.unregister(plugin)
        for plugin in replaced:  # allure-pytest unregisters its own at the end, and fails if it is gone
            manager.register(plugin)

    return recorder, undo


def write_result(
    folder: Path, planned: Planned, result: CheckResult, target: Target, stage: str, redactor: Redactor
) -> None:
    """Write the Allure result of a planned check without one: not run, lost with its worker, not applicable."""
    entry = TestResult(
        uuid=str(uuid.uuid4()),
        name=planned.title(target.language),
        fullName=planned.nodeid or planned.id,
        description=_description(planned, lines()),
        status=_STATUS[result.outcome],
        statusDetails=StatusDetails(message=in_language(result.message, target.language)),
        labels=_labels(planned, target, stage),
        links=_links(planned, target),
        start=now(),
        stop=now(),
    )
    RedactingLogger(folder, redactor).report_result(entry)


def _labels(planned: Planned, target: Target, stage: str) -> list[Label]:
    family = planned.id.partition(".")[0]
    return [
        Label(LabelType.SEVERITY, _SEVERITY[planned.severity]),
        Label("owner", planned.owner),
        Label(LabelType.PARENT_SUITE, stage),
        Label(LabelType.SUITE, family),
        Label(LabelType.EPIC, target.name),
        Label(LabelType.FEATURE, stage),
        Label(LabelType.STORY, family),
        Label(LabelType.ID, planned.id),
        *(Label(LabelType.TAG, f"runbook {section}") for section in planned.sections),
        Label(LabelType.TAG, planned.severity),
    ]


def _links(planned: Planned, target: Target) -> list[Link]:
    base = target.evidence.runbook_url
    return [Link("link", f"{base}#{section}", f"runbook {section}") for section in planned.sections] if base else []


def _description(planned: Planned, known: Mapping[str, Line]) -> str:
    quoted = "\n".join(f"> {known[line].ko}  \n> {known[line].en}\n" for line in planned.lines)
    return f"{planned.ko}  \n{planned.en}\n\n`{planned.id}`\n\n{quoted}"
