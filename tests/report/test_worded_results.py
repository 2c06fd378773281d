"""Allure results for the page: worded in the reader's language, the evidence itself untouched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opsverify.report.worded_results import RESULTS, worded

if TYPE_CHECKING:
    from pathlib import Path

CHECK = {
    "id": "health.service[a]",
    "title": {"ko": "서비스가 정상 응답하는가", "en": "The service answers healthy"},
    "message": "HTTP status 503, expected 200",
    "message_ko": "HTTP 상태 503, 기대값 200",
}
RESULT = {
    "name": "서비스가 정상 응답하는가",
    "statusDetails": {"message": "opsverify.errors.CheckFailed: HTTP status 503, expected 200", "trace": "E  503"},
    "labels": [{"name": "tag", "value": "sev1"}, {"name": "as_id", "value": "health.service[a]"}],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with one result of a check, one of another plugin, one that cannot be read, and an attachment."""
    results = tmp_path / "run" / RESULTS
    results.mkdir(parents=True)
    (results / "1-result.json").write_text(json.dumps(RESULT), encoding="utf-8")
    (results / "2-result.json").write_text('{"name": "of a plugin"}', encoding="utf-8")
    (results / "3-result.json").write_text("{half", encoding="utf-8")
    (results / "a-attachment.txt").write_text("GET /health", encoding="utf-8")
    return results.parent


@pytest.mark.parametrize(("language", "message"), [("ko", "message_ko"), ("en", "message")])
def test_titles_and_messages_are_the_verdicts(run: Path, tmp_path: Path, language: str, message: str) -> None:
    """Both languages come from the verdict, and the exception's own text goes; the trace stays."""
    before = {path.name: path.read_bytes() for path in (run / RESULTS).iterdir()}
    worded(run, {"checks": [CHECK]}, language, tmp_path / "page")
    shown = json.loads((tmp_path / "page" / "1-result.json").read_text(encoding="utf-8"))
    assert shown["name"] == CHECK["title"][language]  # type: ignore[index]
    assert shown["statusDetails"] == {"message": CHECK[message], "trace": "E  503"}
    assert shown["labels"] == RESULT["labels"]
    assert {path.name: path.read_bytes() for path in (run / RESULTS).iterdir()} == before


def test_what_the_verdict_does_not_name_stays_as_it_is(run: Path, tmp_path: Path) -> None:
    """A result of another plugin, one that Allure itself will refuse, and every attachment."""
    worded(run, {"checks": [CHECK]}, "en", tmp_path / "page")
    for name in ("2-result.json", "3-result.json", "a-attachment.txt"):
        assert (tmp_path / "page" / name).read_bytes() == (run / RESULTS / name).read_bytes()
