"""Allure results of a run: the verdict's outcomes and messages, and what a suite's author does with Allure."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Ran, Suite

EVERY = """
@pytest.fixture
def no_setup():
    raise ValueError("no set-up")

@pytest.fixture
def no_teardown():
    yield
    raise ValueError("no teardown")

@described("t.fail", severity="sev1")
def test_fail(check):
    check.measure("x", 0.0231, RATE, samples=4120, of="of 4,120 requests failed")

@described("t.inconclusive")
def test_inconclusive(check):
    raise Inconclusive("Prometheus did not answer")

@described("t.skipped")
def test_skipped(check):
    pytest.skip("later")

@described("t.aborted")
def test_aborted(check):
    raise ValueError("odd")

@described("t.setup")
def test_setup(check, no_setup):
    check.measure("x", 0.0, RATE)

@described("t.teardown")
def test_teardown(check, no_teardown):
    check.measure("x", 0.0, RATE)
"""
STATUS = {"pass": "passed", "fail": "failed", "inconclusive": "broken"}
AUTHORS = """
import allure

@described("t.author")
@allure.label("team", "quality")
@allure.link("https://wiki.example.com/judgment", name="wiki")
@allure.title("another title")
@pytest.mark.parametrize("line", ["a7"])
def test_author(check, line):
    print("printed for the reader")
    with check.step("first"):
        check.attach("inside", "what was sent")
    with allure.step("second"):
        allure.attach("what was received", name="received", attachment_type=allure.attachment_type.TEXT)
    allure.dynamic.label("shift", "night")
    allure.dynamic.parameter("line", "A7")
    allure.dynamic.title("a third title")
    check.measure("x", 0.0, RATE)
"""
WAITS = """
@described("t.case")
def test_case(check):
    import threading
    check.attach("so far", "0.4% of 1,200 requests failed")
    open("started", "w").close()
    threading.Event().wait(600)
"""

LOST = """
@described("t.case")
def test_case(check):
    import pathlib, shutil, threading
    for folder in pathlib.Path("reports").glob("*/allure-results"):
        shutil.rmtree(folder)
    open("started", "w").close()
    threading.Event().wait(600)
"""


def results(ran: Ran) -> dict[str, list[dict[str, Any]]]:
    """The Allure results of a run by check id."""
    assert ran.folder is not None, str(ran)
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (ran.folder / "allure-results").glob("*-result.json"):
        result = json.loads(path.read_text())
        found.setdefault(labels(result)["as_id"], []).append(result)
    return found


def labels(result: dict[str, Any]) -> dict[str, str]:
    """The labels of a result; of several of one name the last."""
    return {label["name"]: label["value"] for label in result["labels"]}


@pytest.mark.parametrize("way", ["cli", "cli-n2"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_result_is_that_of_the_verdict(suite: Suite, way: str, language: str) -> None:
    """Status and message are the verdict's, in the target's language; the trace says where a check was stopped."""
    suite.checks("every", EVERY)
    file = suite.root / "targets" / "t.toml"
    file.write_text(file.read_text().replace('language = "en"', f'language = "{language}"'))
    ran = suite.run(way)
    assert ran.verdict is not None, str(ran)
    found = results(ran)
    message = "message" if language == "en" else "message_ko"
    for check in ran.verdict["checks"]:
        (result,) = found[check["id"]]
        assert result["status"] == STATUS[check["outcome"]], check["id"]
        assert result["name"] == check["title"][language]
        if check["outcome"] != "pass":
            assert result["statusDetails"]["message"] == check[message], check["id"]
    assert "ValueError: odd" in found["t.aborted"][0]["statusDetails"]["trace"]
    assert "ValueError: no set-up" in found["t.setup"][0]["statusDetails"]["trace"]
    assert "ValueError: no teardown" in found["t.teardown"][0]["statusDetails"]["trace"]


def test_what_an_author_does_with_allure_stays(suite: Suite) -> None:
    """Steps, attachments, labels, links and parameters are kept; titles are the runbook's."""
    suite.checks("author", AUTHORS)
    ran = suite.run()
    assert ran.folder is not None
    (result,) = results(ran)["t.author[a7]"]
    assert result["name"] == "A check [a7]"
    assert [step["name"] for step in result["steps"]] == ["first", "second"]
    assert {name: labels(result)[name] for name in ("team", "shift", "parentSuite")} == {
        "team": "quality", "shift": "night", "parentSuite": "daily",
    }  # fmt: skip
    assert result["links"] == [{"type": "link", "url": "https://wiki.example.com/judgment", "name": "wiki"}]
    assert result["parameters"] == [{"name": "line", "value": "'A7'"}]
    inside = [*result["attachments"], *(file for step in result["steps"] for file in step["attachments"])]
    kept = {file["name"]: (ran.folder / "allure-results" / file["source"]).read_text() for file in inside}
    assert kept == {
        "stdout": "printed for the reader\n",
        "inside": "what was sent",
        "received": "what was received",
    }


def test_an_interrupted_check_leaves_what_it_has(suite: Suite) -> None:
    """What a canary had recorded when it was stopped is in the evidence, beside the result that it did not end."""
    suite.checks("case", WAITS)
    ran = suite.stopped_in("cli", "started", signal.SIGTERM)
    assert ran.folder is not None
    begun, not_run = sorted(results(ran)["t.case"], key=lambda result: result["start"])
    (kept,) = begun["attachments"]
    assert (ran.folder / "allure-results" / kept["source"]).read_text() == "0.4% of 1,200 requests failed"
    assert begun["historyId"] == not_run["historyId"]
    assert (begun["status"], not_run["status"]) == ("skipped", "broken")


def test_an_interrupted_check_that_cannot_be_written_is_a_reason(suite: Suite) -> None:
    """The verdict is written all the same, and says what its evidence lacks."""
    suite.checks("case", LOST)
    ran = suite.stopped_in("cli", "started", signal.SIGTERM)
    assert ran.verdict is not None, str(ran)
    assert (ran.code, ran.verdict["decision"]) == (2, "hold")
    assert "evidence cannot be written" in ran.reasons
    assert "the run was interrupted" in ran.reasons
