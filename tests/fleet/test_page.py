"""Page of a fleet: who is red, since when, in both languages; complete in itself."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import main
from opsverify.fleet.page import fleet_page, page_of
from tests.support.fleet_verdicts import a_red_fleet, delivered, plan_of, verdict_of
from tests.support.fleets import CREATED, MadeFleet, made_fleet

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.report.document import Document

DAY = dt.timedelta(days=1)
HANGUL = re.compile("[가-힣]")


def since(fleet: MadeFleet) -> dict[str, str]:
    """Since when each red target of the verdict is red."""
    verdict = json.loads((fleet.folder / "fleet-verdict.json").read_text(encoding="utf-8"))
    return {unit["target"]: unit["red_since"] for unit in verdict["units"] if unit["red_since"]}


def merge(fleet: MadeFleet, *folders: Path, place: Path | None = None) -> bytes:
    """The verdict of a fleet; it is also left in its folder."""
    main(["merge", str(fleet.plan_file), *map(str, folders), "--report-dir", str(place or fleet.folder)])
    return ((place or fleet.folder) / "fleet-verdict.json").read_bytes()


def rows(document: Document) -> list[tuple[str, str]]:
    """Target and class of each row of the first table."""
    return [(str(row.cells[0]), row.kind) for row in document.chapters[0].grids[0].rows]


def test_red_first_and_the_rejected_before_the_rest() -> None:
    """Rejected, then what holds, the longest red first."""
    page = page_of(a_red_fleet(), "en")
    assert (page.state.en, page.kind) == ("REJECT", "reject")
    assert rows(page)[0] == ("plant-0007", "fail")
    assert {kind for _, kind in rows(page)[1:]} == {"inconclusive"}
    assert page.chapters[0].heading.en == "Red: 7 of 12"
    assert page.chapters[1].heading.en == "Delivered, and counts for nothing"


def test_a_green_fleet_has_nobody_red() -> None:
    """The first chapter is empty, which the page says."""
    page = page_of(verdict_of(plan_of(2), delivered(0), delivered(1)), "ko")
    assert (page.state.ko, page.kind, rows(page)) == ("승인 ACCEPT", "accept", [])


def test_every_text_has_both_languages() -> None:
    """Headings, heads of tables and states."""
    page = page_of(a_red_fleet(), "en")
    texts = [page.title, *(chapter.heading for chapter in page.chapters)]
    texts += [head for chapter in page.chapters for grid in chapter.grids for head in grid.heads]
    assert all(HANGUL.search(text.ko) and not HANGUL.search(text.en) for text in texts)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_requests_nothing(language: str) -> None:
    """No script, no image, no font, no style from anywhere; what units said is text."""
    verdict = a_red_fleet()
    verdict["units"][7]["message"] = "<img src=https://example.com/x.png>"
    tags = " ".join(re.findall(r"<[^>]*>", fleet_page(verdict, language)))
    assert not re.search(r"<(script|img|link|iframe|object)\b|\ssrc=|\shref=", tags)
    html = fleet_page(verdict, language)
    assert "@import" not in html
    assert "url(" not in html
    assert f'<html lang="{language}">' in html


def test_since_when_a_target_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it is red in every fleet; a green one between ends it; another stage's fleet is not asked."""
    days = [made_fleet(tmp_path / "project", 2, created=CREATED + day * DAY) for day in range(4)]
    other = made_fleet(tmp_path / "project", 2, created=CREATED + 3.5 * DAY, stage="weekly")
    monkeypatch.chdir(days[0].project)
    merge(days[0], days[0].unit(0, "reject"), days[0].unit(1))
    merge(days[1], days[1].unit(0, "hold"))
    assert since(days[1]) == {"plant-0000": "2026-11-28T06:00:00.000Z", "plant-0001": "2026-11-29T06:00:00.000Z"}
    merge(days[2], days[2].unit(0), days[2].unit(1))
    assert since(days[2]) == {}
    merge(other)
    merge(days[3], days[3].unit(0, "reject"), days[3].unit(1))
    assert since(days[3]) == {"plant-0000": "2026-12-01T06:00:00.000Z"}


def test_merging_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fleets that share one folder: the older verdict is replaced, and what it knew stays known."""
    first, second = (made_fleet(tmp_path / "project", 1, created=CREATED + day * DAY) for day in range(2))
    monkeypatch.chdir(first.project)
    place = tmp_path / "one" / "folder"
    merge(first, first.unit(0, "reject"), place=place)
    red = second.unit(0, "reject")
    texts = {merge(second, red, place=place) for _ in range(3)}
    assert len(texts) == 1
    verdict = json.loads(texts.pop())
    assert verdict["previous"] == {"fleet": first.plan.fleet, "created_at": "2026-11-28T06:00:00.000Z"}
    assert verdict["units"][0]["red_since"] == "2026-11-28T06:00:00.000Z"


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"schema": "opsverify.fleet-verdict/1", "units": [1]}'])
def test_a_damaged_verdict_before_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """Red since this fleet, as if there had been none."""
    first, second = (made_fleet(tmp_path / "project", 1, created=CREATED + day * DAY) for day in range(2))
    monkeypatch.chdir(first.project)
    (first.folder / "fleet-verdict.json").write_text(damage)
    merge(second, second.unit(0, "reject"))
    assert since(second) == {"plant-0000": "2026-11-29T06:00:00.000Z"}
    shutil.rmtree(first.folder)
