"""Pages in a browser, on a phone and on a screen: decision and reasons in sight, nothing cut off, nothing requested."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opsverify.fleet.page import fleet_page
from opsverify.report.allure_report import build_report
from opsverify.report.document import document_html
from opsverify.report.gate_plot import page as gate_page
from opsverify.report.html import render
from tests.support.browsers import PATIENCE_MS, needs_chromium
from tests.support.finished_run import finish
from tests.support.fleet_verdicts import a_red_fleet
from tests.support.gate_window import observed
from tests.support.pages import REASON, rejected
from tests.support.period_runs import a_restless_week

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from opsverify.canary.trace import WindowTrace

pytestmark = needs_chromium
WIDTHS = (390, 1280)
HEIGHT = 844
A4 = 703
"""Width of the printed page within its margins: 186 mm at 96 dots an inch."""
CUT_OFF = """() => [...document.querySelectorAll('main *, #opsverify-summary *')]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.wide'))
    .map(one => one.outerHTML.slice(0, 90))"""
"""Elements that reach past the window's right edge, outside of tables that scroll by themselves."""
HINTS = """() => [...document.querySelectorAll('.wide')].filter(one => one.scrollWidth > one.clientWidth + 1)
    .map(one => getComputedStyle(one, '::before').content)"""
"""What stands above each table that has more columns than are in sight."""
PLOTS = """() => [...document.querySelectorAll('figure')].filter(one => one.checkVisibility()).map(figure => ({
    drawings: [...figure.querySelectorAll('svg')].map(svg => {
        const box = one => {
            const {left, top, right, bottom} = one.getBoundingClientRect()
            return [left, top, right, bottom]
        }
        return {
            box: box(svg),
            lines: [...svg.querySelectorAll('path')].map(box),
            events: [...svg.querySelectorAll('line.event')].map(one => box(one)[0]),
            colours: new Set([...svg.querySelectorAll('path')].map(one => getComputedStyle(one).stroke)).size,
        }
    }),
    numbers: [...figure.querySelectorAll('.marks span')].map(one => one.textContent),
}))"""
"""Each figure that is seen: where its drawings, their lines and their events are on the screen."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of one run in each language."""
    found = {}
    for language in ("ko", "en"):
        folder = tmp_path_factory.mktemp(language) / "run"
        (folder / "allure-results").mkdir(parents=True)
        for number, status in enumerate(("failed", "broken", "passed", "skipped")):
            result = {"uuid": str(number), "name": f"check {number}", "status": status, "start": 1, "stop": 2}
            (folder / "allure-results" / f"{number}-result.json").write_text(json.dumps(result))
        finish(folder, run_id="run-1")
        found[language] = build_report(folder, language)
    return found


@pytest.fixture(scope="module")
def window() -> WindowTrace:
    """A canary's window in which a pod is replaced and an alert fires."""
    return observed()


def opened(browser: Browser, path: Path, width: int) -> tuple[Page, list[str]]:
    """A page as a window of `width` shows it, and what it requested from elsewhere."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT})
    page.set_default_timeout(PATIENCE_MS)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(path.as_uri())
    return page, requested


def leaving(requested: list[str]) -> list[str]:
    """The requests that leave the page."""
    return [url for url in requested if not url.startswith(("file:", "data:", "blob:"))]


def in_sight(page: Page, text: str) -> bool:
    """Whether a text is visible without scrolling."""
    box = page.get_by_text(text, exact=False).locator("visible=true").first.bounding_box()
    return box is not None and box["y"] + box["height"] <= HEIGHT


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("language", "decision"), [("ko", "거부"), ("en", "REJECT")])
def test_the_page_of_a_rehearsal(browser: Browser, tmp_path: Path, language: str, decision: str, width: int) -> None:
    """Read on a phone at night and on a screen, in both languages, and printed on A4."""
    path = tmp_path / "recovery.html"
    path.write_text(render(rejected(language)), encoding="utf-8")
    page, requested = opened(browser, path, width)
    assert in_sight(page, decision)
    assert in_sight(page, REASON.ko if language == "ko" else REASON.en)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4, "height": HEIGHT})
    assert page.evaluate("document.documentElement.scrollWidth") <= A4
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert leaving(requested) == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("language", "state"), [("ko", "확인 필요"), ("en", "LOOK CLOSER")])
def test_the_page_of_a_week(browser: Browser, tmp_path: Path, language: str, state: str, width: int) -> None:
    """State and first concern in sight, wide tables scroll by themselves, the other language by a click."""
    path = tmp_path / "weekly.html"
    path.write_text(document_html(a_restless_week(tmp_path, language)), encoding="utf-8")
    page, requested = opened(browser, path, width)
    assert in_sight(page, state)
    assert in_sight(page, "2026-W47")
    assert in_sight(page, "11-18")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    hint = {"ko": "옆으로 밀면 나머지 열 →", "en": "swipe for more columns →"}[language]
    hints = page.evaluate(HINTS)
    assert bool(hints) == (width == WIDTHS[0])
    assert set(hints) <= {f'"{hint}"'}
    page.locator(f'label[for="{"en" if language == "ko" else "ko"}"]').click()
    assert in_sight(page, "LOOK CLOSER" if language == "ko" else "확인 필요")
    assert leaving(requested) == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("language", "state"), [("ko", "거부 REJECT"), ("en", "REJECT")])
def test_the_page_of_a_fleet(browser: Browser, tmp_path: Path, language: str, state: str, width: int) -> None:
    """Decision, who is red and since when in sight, the other language by a click."""
    path = tmp_path / "fleet.html"
    path.write_text(fleet_page(a_red_fleet(), language), encoding="utf-8")
    page, requested = opened(browser, path, width)
    assert in_sight(page, state)
    assert in_sight(page, "plant-0007")
    assert in_sight(page, "2026년 11월 26일" if language == "ko" else "2026-11-26")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    page.locator(f'label[for="{"en" if language == "ko" else "ko"}"]').click()
    assert in_sight(page, "red since" if language == "ko" else "적색 시작")
    assert leaving(requested) == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("language", "decision", "words"),
    [("ko", "롤백", ("측정 불가", "해당 없음")), ("en", "roll back", ("not measured", "not applicable"))],
)
def test_the_report_of_a_run(
    browser: Browser, reports: dict[str, Path], language: str, decision: str, words: tuple[str, str], width: int
) -> None:
    """Our words for what Allure calls broken and skipped, and no rate of success beside a rollback."""
    page, requested = opened(browser, reports[language], width)
    page.locator('[data-testid="tab-all"]').wait_for()
    assert in_sight(page, decision)
    assert in_sight(page, "2.31%")
    for status, word in zip(("broken", "skipped"), words, strict=True):
        assert word in page.locator(f'[data-testid="tab-{status}"]').inner_text().lower()
    assert ("Resolution" in page.inner_text("body")) == (language == "en")
    for hidden in ('article[class*="styles_chart__"]', '[data-testid="report-data"]'):
        assert page.locator(hidden).count() == 1
        assert page.locator(f"{hidden}:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert leaving(requested) == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("language", "said"), [("ko", "카나리 관찰 구간"), ("en", "Canary window")])
def test_the_plots_of_a_canarys_window(
    browser: Browser, window: WindowTrace, tmp_path: Path, language: str, said: str, width: int
) -> None:
    """Every line is drawn inside its drawing, and an event stands at the same place in all of them."""
    path = tmp_path / "gate.html"
    path.write_text(gate_page(window, "run-1", language), encoding="utf-8")
    page, requested = opened(browser, path, width)
    assert in_sight(page, said)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    figures = page.evaluate(PLOTS)
    assert len(figures) == len(window.criteria)
    drawings = [drawing for figure in figures for drawing in figure["drawings"]]
    assert len(drawings) == 2 * len(window.criteria)
    for drawing in drawings:
        left, top, right, bottom = drawing["box"]
        assert right - left > 250
        assert bottom - top > 50
        assert drawing["colours"] == len(drawing["lines"]) == 2
        for line in drawing["lines"]:
            assert line[2] - line[0] > (right - left) / 2
            assert left - 1 <= line[0] <= line[2] <= right + 1
            assert top - 1 <= line[1] <= line[3] <= bottom + 1
        events = [place - left for place in drawing["events"]]
        assert events == pytest.approx(
            [(right - left) * event.at_s / window.length_s for event in window.events], abs=1
        )
    assert all(figure["numbers"] == [str(n + 1) for n in range(len(window.events))] for figure in figures)
    other = page.locator("label[for=en]" if language == "ko" else "label[for=ko]")
    other.click()
    assert not page.get_by_text(said, exact=False).first.is_visible()
    assert len(page.evaluate(PLOTS)) == len(window.criteria)
    assert leaving(requested) == []
    page.close()
