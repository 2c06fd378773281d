"""Live page in a real browser: a real run of a canary from its start to its verdict, and a server that goes away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tests.support.browsers import needs_chromium
from tests.support.canary_exporter import scraped_canary
from tests.support.gate_server import LONGEST_S, GateProject, LiveGate, RealProject, plain, project_in, served

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = needs_chromium
WIDTHS: Final = (390, 1280)
HEIGHT: Final = 844
PATIENCE_MS: Final = LONGEST_S * 1000
CUT_OFF: Final = """() => [...document.querySelectorAll('body *')].filter(one => one.checkVisibility())
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 90))"""
RELEASE: Final = {"name": "judgment", "checksum": "c1"}


class _Looking:
    """A person with a page: what it requested, and what its browser complained of."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.requested: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.clock.install()
        self.page.goto(url)

    def enter(self, token: str) -> None:
        """Type the token in."""
        field = self.page.locator("input[name=token]")
        field.wait_for()
        field.fill(plain(token))
        field.press("Enter")

    def require_whole(self) -> None:
        """Nothing is cut off or wider than the window, on a phone and on a screen."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width
            assert self.page.evaluate(CUT_OFF) == []

    def require_kept_to(self, url: str) -> None:
        """No request left the server, none had the token in its address, and the page broke no rule of its own."""
        assert {f"{part.scheme}://{part.netloc}" for part in map(urlsplit, self.requested)} <= {url, "data://"}
        assert not [address for address in self.requested if "ovs_" in address]
        assert not [text for text in self.said if "Failed to load resource" not in text]


def started(live: LiveGate, **more: Any) -> str:  # noqa: ANN401 - a request's fields
    """A run of a release; its id."""
    body = {"stage": "staging", "target": "prod", "release": RELEASE} | more
    return str(live.call("POST", "/v1/runs", body).json()["id"])


def test_a_canary_from_its_start_to_its_rollback(
    browser: Browser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Log in, see the gate's picture while it observes, then the verdict with its reasons and the evidence."""
    caplog.set_level(logging.DEBUG)
    project = RealProject(project_in(tmp_path / "project"))
    with scraped_canary(tmp_path / "prometheus") as canary, served(project) as live:
        (project.folder / "targets" / "far.toml").write_text(canary.target(language="ko"), encoding="utf-8")
        run = started(live, stage="prod-canary", target="far", window="5m")
        context = browser.new_context(viewport={"width": WIDTHS[0], "height": HEIGHT}, locale="de-DE")
        looking = _Looking(context, f"{live.url}/live/{run}")
        assert looking.page.locator("article").count() == 0
        looking.enter("admin")
        page = looking.page
        page.locator("article").get_by_text("대상 far, 단계 prod-canary").wait_for()
        page.locator("figure path.below").wait_for(state="attached")
        assert page.locator(".decision").inner_text() == "진행 중"
        assert "점검 5건 중 0건" in page.locator(".progress").inner_text()
        assert page.locator("figure").count() == 1
        assert "error_rate" in page.locator("figcaption").inner_text()
        looking.require_whole()
        drawn = page.locator("path.below").get_attribute("d")
        page.wait_for_function("before => document.querySelector('path.below').getAttribute('d') !== before", arg=drawn)
        page.get_by_role("link", name="English").click()
        page.locator(".decision").get_by_text("under way", exact=True).wait_for()
        canary.fail()
        page.locator(".decision.reject").wait_for()
        assert page.locator(".decision").inner_text() == "ROLLBACK"
        assert "requests failed" in page.locator(".reasons li").first.inner_text()
        assert "breach proven" in page.locator("figcaption").inner_text()
        looking.require_whole()
        with page.expect_download() as download:
            page.get_by_role("link", name="evidence").click()
        assert download.value.suggested_filename == f"{run}.tar.zst"
        asked = len(looking.requested)
        assert live.ended(run)["decision"] == "rollback"
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        looking.require_kept_to(live.url)
        page.clock.fast_forward("10:00")  # every timer of the page is due
        assert page.locator(".decision").inner_text() == "ROLLBACK"
        assert len(looking.requested) == asked
        context.close()
    assert plain("admin") not in caplog.text


def test_a_server_that_goes_away_and_comes_back(browser: Browser, project: GateProject) -> None:
    """The page says since when, keeps what it showed, and goes on with the next server, which asks who looks."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": HEIGHT}, locale="en-GB")
    with served(project) as live:
        run = started(live)
        looking = _Looking(context, f"{live.url}/live/{run}")
        looking.enter("approver")
        page, address = looking.page, urlsplit(live.url)
        page.locator(".decision").get_by_text("under way", exact=True).wait_for()
    page.get_by_text("The server cannot be reached since").wait_for()
    assert page.locator("article").is_visible()
    looking.require_whole()
    with served(project, port=address.port or 0) as live:
        looking.enter("approver")
        page.locator(".decision.hold").wait_for()
        assert not page.get_by_text("The server cannot be reached since").is_visible()
        assert "the server was stopped" in page.locator(".reasons li").first.inner_text()
        looking.require_kept_to(live.url)
        page.get_by_role("button", name="Forget the session").click()
        page.locator("input[name=token]").wait_for()
        assert context.cookies() == []
    context.close()


def test_a_token_that_may_not(browser: Browser, live: LiveGate) -> None:
    """What is wrong is said on the page, in its language; a run of another target is no run."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": HEIGHT}, locale="ko-KR")
    looking = _Looking(context, f"{live.url}/live/{started(live)}")
    looking.enter("unknown")
    looking.page.get_by_text("유효한 토큰 없음").wait_for()
    looking.enter("hooks")
    looking.page.get_by_text("read 권한 없음").wait_for()
    looking.enter("reader")
    looking.page.get_by_text("실행 없음").wait_for()
    looking.require_whole()
    looking.require_kept_to(live.url)
    context.close()
