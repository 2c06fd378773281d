"""HTML report of a run: one file made by Allure 3 from its results, readable without network or server."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock

from opsverify.canary.observation import NAME, read_observation
from opsverify.config.severity import SEVERITIES
from opsverify.errors import EvidenceError
from opsverify.evidence.files import LATEST, write_atomic
from opsverify.evidence.once_read import json_in, read_json, read_once
from opsverify.language.message import say
from opsverify.report.allure_cli import allure_command, run
from opsverify.report.gate_plot import plots_of
from opsverify.report.offline import make_offline
from opsverify.report.own_words import use_own_words
from opsverify.report.summary import add_summary, title_of
from opsverify.report.worded_results import RESULTS, worded

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT: Final = "report.html"
_GENERATE_TIMEOUT_S: Final = 300.0
_HISTORY_RUNS: Final = 50
# Allure names its Korean texts after the country.
_ALLURE_LANGUAGE: Final = {"ko": "kr", "en": "en"}
_WORDS: Final = {
    "ko": {"failed": "측정값이 한계를 벗어남", "broken": "측정하지 못함"},
    "en": {"failed": "measured outside its limit", "broken": "could not be measured"},
}


def build_report(run_dir: Path, language: str, progress: Callable[[str], None] = lambda _line: None) -> Path:
    """Build `run_dir/report.html` in `ko` or `en` from verdict and Allure results; return its path.

    Runs in a reports folder (the one that holds `latest`) are compared with the earlier runs of the same
    stage on the same target. Raises EvidenceError in one line when the run or Node is missing, or Allure
    cannot be installed or fails; a report built earlier then stays as it was.
    """
    verdict = _verdict(run_dir)
    if not any((run_dir / RESULTS).glob("*-result.json")):
        raise EvidenceError(say("{folder}: no Allure results; run opsverify verify first", folder=run_dir / RESULTS))
    command = allure_command(progress)
    history = _history_of(run_dir, verdict)
    progress(say("building the report of {run}", run=verdict["run_id"]))
    with tempfile.TemporaryDirectory(prefix="opsverify-report-") as scratch, _locked(history):
        folder = Path(scratch)
        if history:
            _copy_history(history, folder / "history.jsonl", verdict)
        config = folder / "allurerc.json"
        config.write_text(json.dumps(_configuration(verdict, language, folder, history)), encoding="utf-8")
        worded(run_dir, verdict, language, folder / RESULTS)
        # Relative to the folder: Allure reads this argument as a glob pattern.
        run(
            (*command, "generate", "--config", str(config), "--cwd", str(folder.resolve()), RESULTS),
            folder,
            _GENERATE_TIMEOUT_S,
            say("Allure 3 could not build the report"),
        )
        try:
            html = (folder / "out" / "index.html").read_text(encoding="utf-8")
        except OSError as error:
            raise EvidenceError(say("Allure 3 could not build the report: no page written")) from error
        write_atomic(
            run_dir / REPORT,
            make_offline(use_own_words(add_summary(html, verdict, language, _window(run_dir, language)), language)),
        )
        if history:
            write_atomic(history, (folder / "history.jsonl").read_bytes())
    return run_dir / REPORT


def _window(run_dir: Path, language: str) -> str:
    """The plots of a canary's window; empty for a run without one, or with one that cannot be read."""
    try:
        return plots_of(*read_observation(run_dir / NAME), language)
    except EvidenceError:
        return ""


def _verdict(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "verdict.json"
    try:
        verdict = read_json(path)
        missing = {"run_id", "stage", "target", "outcome", "decision", "reasons"} - verdict.keys()
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be read ({error}): name the folder of a finished run", path=path, error=error.strerror)
        ) from error
    except (EvidenceError, AttributeError) as error:
        raise EvidenceError(say("{path}: not a verdict", path=path)) from error
    if missing:
        raise EvidenceError(say("{path}: not a verdict; missing: {names}", path=path, names=", ".join(sorted(missing))))
    return dict(verdict)


def _configuration(verdict: dict[str, Any], language: str, folder: Path, history: Path | None) -> dict[str, Any]:
    options = {
        "singleFile": True,
        "reportLanguage": _ALLURE_LANGUAGE[language],
        "groupBy": ["parentSuite", "suite"],
        "defaultSortBy": "status,asc",
    }
    return {
        "name": title_of(verdict),
        "output": str(folder / "out"),
        "categories": _categories(_WORDS[language]),
        "plugins": {"awesome": {"options": options}},
        **({"historyPath": str(folder / "history.jsonl"), "historyLimit": _HISTORY_RUNS} if history else {}),
    }


def _categories(words: dict[str, str]) -> list[dict[str, Any]]:
    """One category for each status and severity, worst first; a result belongs to the first that matches."""
    rules: list[dict[str, Any]] = [
        {
            "name": f"{severity} · {words[status]}",
            "matchers": {"statuses": [status], "labels": {"tag": f"^{severity}$"}},
            "groupByMessage": False,
            "expand": True,
        }
        for severity in SEVERITIES
        for status in ("failed", "broken")
    ]
    rest = [{"name": words[status], "matchers": {"statuses": [status]}} for status in ("failed", "broken")]
    return [*rules, *rest]


def _history_of(run_dir: Path, verdict: dict[str, Any]) -> Path | None:
    reports = run_dir.resolve().parent
    if not (reports / LATEST).is_symlink():
        return None
    name = re.sub(r"[^\w.-]", "_", f"{verdict['target']}.{verdict['stage']}")
    return reports / "history" / f"{name}.jsonl"


def _locked(history: Path | None) -> AbstractContextManager[object]:
    """Lock the history, so that two reports of the same stage keep each other's line."""
    if history is None:
        return nullcontext()
    try:
        history.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error})", path=history.parent, error=error.strerror)
        ) from error
    return FileLock(history.with_suffix(".lock"))


def _copy_history(history: Path, copy: Path, verdict: dict[str, Any]) -> None:
    """Copy the history for Allure without this run's own line, so that building a report twice counts it once."""
    lines = read_once(history).splitlines(keepends=True) if history.exists() else []
    own = title_of(verdict)
    copy.write_bytes(b"".join(line for line in lines if json_in(line, history.name).get("name") != own))
