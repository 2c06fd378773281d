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
    from collections.abc import Callable, Generator, Iterator, Mapping
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
_LISTENER: Final = "allure_listener"
_KINDS: Final = {
    "text": AttachmentType.TEXT,
    "json": AttachmentType.JSON,
    "csv": AttachmentType.CSV,
    "html": AttachmentType.HTML,
    "jsonl": AttachmentType.TEXT,
}


class AllureEvidence:
    """Steps and attachments of the check that is running."""

    def attach(self, name: str, body: str, kind: Kind = "text") -> None:
        """Attach `body`; secrets are removed where the file is written."""
        allure.attach(body, name=name, attachment_type=_KINDS[kind])

    def step(self, title: str) -> AbstractContextManager[object]:
        """Show what is done inside as one step."""
        step: AbstractContextManager[object] = allure.step(title)
        return step


class _ChecksOnly(AllureListener):  # type: ignore[misc]  # allure ships no types
    """allure-pytest's listener without its records of fixtures, and without what `describe` replaces anyway.

    A failure of a fixture is in the result of the check that uses it.
    """

    pytest_fixture_setup = None
    pytest_fixture_post_finalizer = None

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(config)
        self._lines = lines()
        self._interpreter = platform_label()
        self._names: dict[tuple[object, str], tuple[str, list[str], str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Name the function and its parameters."""
        try:
            return (yield)
        finally:
            result = self._result_of(item)
            result.fullName, result.titlePath, _ = self._names_of(item)
            if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
                known = {parameter.name for parameter in result.parameters}
                result.parameters += [
                    Parameter(name=name, value=represent(value))
                    for name, value in item.callspec.params.items()
                    if name not in known
                ]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Add the labels and links that a suite's author put on the function, and where it ran."""
        try:
            return (yield)
        finally:
            result = self._result_of(item)
            result.labels += [Label(name, value) for name, value in (*allure_labels(item), *self._place(item))]
            result.links += [Link(kind, url, name) for kind, url, name in allure_links(item)]

    def describe(self, planned: Planned, target: Target, stage: str) -> None:
        """Put titles, severity, owner, labels and runbook links on the check that is running."""
        result = self.allure_logger.get_test(None)
        result.name = planned.title(target.language)
        result.description = _description(planned, self._lines)
        result.labels.extend(Label(name, value) for name, value in _labels(planned, target, stage))
        result.links.extend(_links(planned, target))

    def _result_of(self, item: pytest.Item) -> TestResult:
        found: TestResult = self.allure_logger.get_test(self._cache.get(item.nodeid))
        return found

    def _names_of(self, item: pytest.Item) -> tuple[str, list[str], str]:
        """Names of the item's function, its file and its package: the same for all its parameters."""
        function = (item.parent, getattr(item, "originalname", item.name))
        if function not in self._names:
            self._names[function] = allure_full_name(item), allure_title_path(item), allure_package(item)
        return self._names[function]

    def _place(self, item: pytest.Item) -> Iterator[tuple[str, str]]:
        for marker in pytest_markers(item):
            yield LabelType.TAG, marker
        yield LabelType.HOST, self._host
        yield LabelType.THREAD, self._thread
        yield LabelType.FRAMEWORK, "pytest"
        yield LabelType.LANGUAGE, self._interpreter
        yield "package", self._names_of(item)[2]

    def _update_fixtures_children(self, item: pytest.Item) -> None:
        """Record no fixture."""


def redact_results(config: pytest.Config, folder: Path, redactor: Redactor) -> Callable[[], None]:
    """Let Allure record checks only, and write without secrets to `folder`; return its undoing."""
    manager = allure_commons.plugin_manager
    replaced = [plugin for plugin in manager.get_plugins() if isinstance(plugin, AllureFileLogger | AllureListener)]
    for plugin in replaced:
        manager.unregister(plugin)
    config.pluginmanager.unregister(name=_LISTENER)
    ours = [_ChecksOnly(config), RedactingLogger(folder, redactor)]
    config.pluginmanager.register(ours[0], _LISTENER)
    for plugin in ours:
        manager.register(plugin)

    def undo() -> None:
        for plugin in ours:
            manager.unregister(plugin)
        for plugin in replaced:  # allure-pytest unregisters its own at the end, and fails if it is gone
            manager.register(plugin)

    return undo


def describe_running(config: pytest.Config, planned: Planned, target: Target, stage: str) -> None:
    """Put titles, severity, owner, labels and runbook links on the check that is running."""
    listener = config.pluginmanager.get_plugin(_LISTENER)
    if isinstance(listener, _ChecksOnly):
        listener.describe(planned, target, stage)


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
        labels=[Label(name, value) for name, value in _labels(planned, target, stage)],
        links=_links(planned, target),
        start=now(),
        stop=now(),
    )
    RedactingLogger(folder, redactor).report_result(entry)


def _labels(planned: Planned, target: Target, stage: str) -> list[tuple[str, str]]:
    family = planned.id.partition(".")[0]
    return [
        (LabelType.SEVERITY, _SEVERITY[planned.severity]),
        ("owner", planned.owner),
        (LabelType.PARENT_SUITE, stage),
        (LabelType.SUITE, family),
        (LabelType.EPIC, target.name),
        (LabelType.FEATURE, stage),
        (LabelType.STORY, family),
        (LabelType.ID, planned.id),
        *((LabelType.TAG, f"runbook {section}") for section in planned.sections),
        (LabelType.TAG, planned.severity),
    ]


def _links(planned: Planned, target: Target) -> list[Link]:
    base = target.evidence.runbook_url
    return [Link("link", f"{base}#{section}", f"runbook {section}") for section in planned.sections] if base else []


def _description(planned: Planned, known: Mapping[str, Line]) -> str:
    quoted = "\n".join(f"> {known[line].ko}  \n> {known[line].en}\n" for line in planned.lines)
    return f"{planned.ko}  \n{planned.en}\n\n`{planned.id}`\n\n{quoted}"
