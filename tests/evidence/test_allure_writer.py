"""Writer of Allure results: whatever Allure hands over to be written, no secret reaches the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from allure_commons import model2
from allure_commons.logger import AllureFileLogger

from opsverify.evidence.allure_writer import RedactingLogger
from opsverify.evidence.redact import MASK, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "planted-secret-5b1f"
NUMBER = 8812734650192837
"""A secret that is a number, such as an account's."""
WRITTEN: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "report_result": lambda _: (
        model2.TestResult(
            uuid="1",
            name=SECRET,
            description=f"says {SECRET}",
            statusDetails=model2.StatusDetails(message=SECRET, trace=SECRET),
            steps=[model2.TestStepResult(name=SECRET, parameters=[model2.Parameter(name=SECRET, value=SECRET)])],
            labels=[model2.Label(name=SECRET, value=SECRET), model2.Label(name="account", value=NUMBER)],
        ),
    ),
    "report_container": lambda _: (
        model2.TestResultContainer(uuid="1", befores=[model2.TestBeforeResult(name=SECRET)]),
    ),
    "report_globals": lambda _: (
        model2.Globals(
            attachments=[model2.GlobalAttachment(name=SECRET, source="1-attachment.txt", timestamp=1)],
            errors=[model2.GlobalError(message=SECRET, trace=SECRET, timestamp=1)],
        ),
    ),
    "report_attached_data": lambda _: (f"token {SECRET}", "1-attachment.txt"),
    "report_attached_file": lambda source: (str(source), "1-attachment.txt"),
}
"""What each hook of Allure's own writer is called with, when there is a file with a secret."""


def test_every_hook_is_walked() -> None:
    """A new version of Allure that writes something else fails here."""
    assert {name for name in vars(AllureFileLogger) if name.startswith("report_")} == WRITTEN.keys()


@pytest.mark.parametrize("hook", WRITTEN)
def test_no_secret_is_written(tmp_path: Path, hook: str) -> None:
    """Not even until the sweep at the run's end, which a killed run never comes to."""
    source = tmp_path / "source.txt"
    source.write_text(SECRET)
    folder = tmp_path / "run" / "allure-results"
    getattr(RedactingLogger(folder, Redactor([SECRET, str(NUMBER)])), hook)(*WRITTEN[hook](source))
    (written,) = folder.iterdir()
    assert SECRET not in written.read_text()
    assert str(NUMBER) not in written.read_text()
    assert MASK in written.read_text()
    if written.suffix == ".json":
        json.loads(written.read_text())
