"""`opsverify incident report` on a real Prometheus: the alerts of the incident's time, by the platform's own rules."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY
from tests.support.real_prometheus import holding
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRAPE_S = 15
ALERTS = {
    "LlmDown": {"alertstate": "firing", "team": "judgment"},
    "StillPending": {"alertstate": "pending", "team": "judgment"},
    "OfAnotherTeam": {"alertstate": "firing", "team": "billing"},
}


@pytest.fixture(scope="module")
def began() -> float:
    """When the alerts began (Unix seconds), on a whole minute."""
    return time.time() // 60 * 60 - 3600


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, began: float) -> Iterator[str]:
    """A Prometheus in which each of them lasted five minutes, an hour ago."""
    stored = [
        ({"__name__": "ALERTS", "alertname": name, **labels}, [(began + SCRAPE_S * n, 1.0) for n in range(21)])
        for name, labels in ALERTS.items()
    ]
    with holding(tmp_path_factory.mktemp("prometheus"), stored) as found:
        yield found


def page_of(folder: Path, prometheus: str, began: float) -> str:
    """The report of the hour around the alerts."""
    target, page = folder / "t.toml", folder / "report.html"
    described = SMALLEST.replace('"prometheus", ', "")
    target.write_text(
        f'{described}\n[prometheus]\nurl = "{prometheus}"\nalerting_rules = \'team="judgment"\'\n', encoding="utf-8"
    )
    times = [dt.datetime.fromtimestamp(at, dt.UTC).isoformat() for at in (began - 600, began + 1800)]
    ran = subprocess.run(
        [
            sys.executable, "-m", "opsverify", "incident", "report", f"--target={target}", f"--since={times[0]}",
            f"--until={times[1]}", f"--out={page}",
        ],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return page.read_text(encoding="utf-8")


def test_alerts_that_fired_are_in_the_report_with_their_times(url: str, tmp_path: Path, began: float) -> None:
    """The platform's own, from the first to the last sample; neither pending ones nor another team's."""
    page = page_of(tmp_path, url, began)
    assert "LlmDown" in page
    assert "StillPending" not in page
    assert "OfAnotherTeam" not in page
    for at in (began, began + 20 * SCRAPE_S):
        assert dt.datetime.fromtimestamp(at, dt.UTC).strftime("%H:%M:%S") in page


def test_a_prometheus_that_does_not_answer_leaves_the_report_and_its_reason(tmp_path: Path, began: float) -> None:
    """Alerts are then not known, which the report says; it is no empty list."""
    page = page_of(tmp_path, "http://127.0.0.1:9", began)
    assert "LlmDown" not in page
    assert "http://127.0.0.1:9" in page
