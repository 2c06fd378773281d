"""Allure results: labels, titles, steps, attachments, and a writer that removes secrets."""

from __future__ import annotations

import functools
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import allure
import allure_commons
import attrs
import pytest
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, Link, Parameter, Status, StatusDetails, TestResult
from allure_commons.types import AttachmentType, LabelType
from allure_commons.utils import md5, now, platform_label, represent
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
from opsverify.evidence.files import mode_in
from opsverify.language.message import in_language
from opsverify.language.plain import plain_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

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
_SUITES: Final = frozenset({LabelType.PARENT_SUITE, LabelType.SUITE, LabelType.SUB_SUITE})
_MADE: Final = frozenset({"uuid", "historyId", "testCaseId"})
"""Fields that are made of random bits or a sum, and hold no text."""
_RECURRING: Final = 4096
"""Texts of results that are remembered as they are shown."""
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

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Name the function and its parameters."""
        try:
            return (yield)
        finally:
            result = self._result_of(item)
            result.fullName = allure_full_name(item)
            result.titlePath = allure_title_path(item)
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

    def _place(self, item: pytest.Item) -> Iterator[tuple[str, str]]:
        for marker in pytest_markers(item):
            yield LabelType.TAG, marker
        yield LabelType.HOST, self._host
        yield LabelType.THREAD, self._thread
        yield LabelType.FRAMEWORK, "pytest"
        yield LabelType.LANGUAGE, self._interpreter
        yield "package", allure_package(item)

    def _update_fixtures_children(self, item: pytest.Item) -> None:
        """Record no fixture."""


class _RedactingLogger(AllureFileLogger):
    """Allure's own writer with every string cleaned on its way to the disk."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        super().__init__(str(folder))  # type: ignore[no-untyped-call]
        self._folder = folder
        self._redactor = redactor
        # Labels and titles come again with every check.
        self._shown = functools.lru_cache(_RECURRING)(lambda text: redactor.text(plain_lines(text)))
        self._mode = mode_in(folder.parent)

    @allure_commons.hookimpl
    def report_result(self, result: TestResult) -> None:
        """Write one test result, identified over the years by target, stage and check, not by its function's place.

        In a report of several runs Allure takes results of one identity for retries, and shows the last one only.
        """
        found = {label.name: label.value for label in result.labels}
        if LabelType.ID in found:
            identity = (found.get(name, "") for name in (LabelType.EPIC, LabelType.FEATURE, LabelType.ID))
            result.historyId = result.testCaseId = md5("\0".join(identity))
            result.labels = _with_our_suites(result.labels)
        self._write(result)

    @allure_commons.hookimpl
    def report_attached_data(self, body: str | bytes, file_name: str) -> None:
        """Write one attachment."""
        if isinstance(body, bytes):
            # Each byte as one character: what is no UTF-8 stays as it is.
            self._put(file_name, self._redactor.text(body.decode("latin-1")).encode("latin-1"))
        else:
            self._put(file_name, self._redactor.lines(body))

    @allure_commons.hookimpl
    def report_attached_file(self, source: str, file_name: str) -> None:
        """Write a copy of a file as an attachment."""
        self.report_attached_data(Path(source).read_bytes(), file_name)

    def _write(self, item: Any) -> None:  # noqa: ANN401 - allure ships no types
        # As Allure's writer does, but in one piece: that one writes a file in some two hundred small ones.
        content = json.dumps(_content(item, self._shown), ensure_ascii=False).encode("utf-8", "backslashreplace")
        self._put(item.file_pattern.format(prefix=uuid.uuid4()), self._redactor.noted(content))

    def _put(self, name: str, content: bytes) -> None:
        # Not synced to the disk, as other evidence is: a run that ends before its verdict holds anyway.
        draft = f"{self._folder}/{name}.tmp"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._mode)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)
        os.replace(draft, f"{self._folder}/{name}")  # noqa: PTH105 - a Path costs as much as the renaming


def _content(value: Any, shown: Callable[[str], str]) -> Any:  # noqa: ANN401 - allure ships no types
    """A value of Allure's model as JSON: what it has set, each of its strings as it is `shown`."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_content(item, shown) for item in value]
    if isinstance(value, Label):  # most of a result, hence without the loop below
        return {"name": shown(value.name), "value": _content(value.value, shown)}
    if isinstance(value, dict):
        return {shown(key): _content(item, shown) for key, item in value.items()}
    if attrs.has(type(value)):
        return {
            name: item if name in _MADE else _content(item, shown)
            for name, item in vars(value).items()
            if item or item is False
        }
    return value


def _with_our_suites(labels: list[Label]) -> list[Label]:
    """Drop the suites that a function is labelled with, which precede ours of stage and family."""
    ours = {label.name: label for label in labels if label.name in _SUITES}
    ours.pop(LabelType.SUB_SUITE, None)
    return [label for label in labels if label.name not in _SUITES or ours.get(label.name) is label]


def redact_results(config: pytest.Config, folder: Path, redactor: Redactor) -> Callable[[], None]:
    """Let Allure record checks only, and write without secrets to `folder`; return its undoing."""
    manager = allure_commons.plugin_manager
    replaced = [plugin for plugin in manager.get_plugins() if isinstance(plugin, AllureFileLogger | AllureListener)]
    for plugin in replaced:
        manager.unregister(plugin)
    config.pluginmanager.unregister(name="allure_listener")
    ours = [_ChecksOnly(config), _RedactingLogger(folder, redactor)]
    config.pluginmanager.register(ours[0], "allure_listener")
    for plugin in ours:
        manager.register(plugin)

    def undo() -> None:
        for plugin in ours:
            manager.unregister(plugin)
        for plugin in replaced:  # allure-pytest unregisters its own at the end, and fails if it is gone
            manager.register(plugin)

    return undo


def describe_running(planned: Planned, target: Target, stage: str) -> None:
    """Put titles, severity, owner, labels and runbook links on the check that is running."""
    for plugin in allure_commons.plugin_manager.get_plugins():
        if isinstance(plugin, _ChecksOnly):
            plugin.describe(planned, target, stage)


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
    _RedactingLogger(folder, redactor).report_result(entry)


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
