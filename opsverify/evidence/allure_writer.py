"""Writer of Allure results: without secrets, without what acts on a page, each file whole or absent."""

from __future__ import annotations

import functools
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import allure_commons
import attrs
import pydantic_core
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, TestResult
from allure_commons.types import LabelType
from allure_commons.utils import md5

from opsverify.evidence.files import mode_in
from opsverify.language.plain import plain_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.evidence.redact import Redactor

_SUITES: Final = frozenset({LabelType.PARENT_SUITE, LabelType.SUITE, LabelType.SUB_SUITE})
_MADE: Final = frozenset({"uuid", "historyId", "testCaseId"})
"""Fields that are made of random bits or a sum, and hold no text."""
_SEQUENCES: Final = (list, tuple, set, frozenset)
_RECURRING: Final = 4096
"""Texts of results that are remembered as they are shown."""


class RedactingLogger(AllureFileLogger):
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
        self._report_item(result)

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

    def _report_item(self, item: Any) -> None:  # noqa: ANN401 - allure ships no types
        # As Allure's writer does, but in one piece: that one writes a file in some two hundred small ones.
        content = pydantic_core.to_json(_content(item, self._shown))
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
    """A value of Allure's model as JSON: what it has set, each of its strings and numbers as it is `shown`."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Label) and isinstance(value.value, str):  # most of a result, hence without the loop below
        return {"name": shown(value.name), "value": shown(value.value)}
    if isinstance(value, _SEQUENCES):
        return [_content(item, shown) for item in value]
    if isinstance(value, dict):
        return {shown(key): _content(item, shown) for key, item in value.items()}
    if attrs.has(type(value)):
        return {
            name: item if name in _MADE else _content(item, shown)
            for name, item in vars(value).items()
            if item or item is False
        }
    return value if (clean := shown(str(value))) == str(value) else clean  # a number may be a secret


def _with_our_suites(labels: list[Label]) -> list[Label]:
    """Drop the suites that a function is labelled with, which precede ours of stage and family."""
    ours = {label.name: label for label in labels if label.name in _SUITES}
    ours.pop(LabelType.SUB_SUITE, None)
    return [label for label in labels if label.name not in _SUITES or ours.get(label.name) is label]
