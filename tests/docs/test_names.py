"""Names in the docs: paths, modules, links, fixtures and step kinds exist, and the step kinds are complete."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from opsverify.smoke.journeys import JourneyStep
from tests.docs.tables import pages
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TOP = "opsverify|checks|smoke|dr_validation|sandbox|targets|tests|docs|benchmarks|reports|changelog.d"
_PATH = re.compile(rf"(?<![\w./-])(?:{_TOP})/[\w./*-]*|(?<![\w./-])(?:pyproject\.toml|conftest\.py|\.ci/run)")
_MODULE = re.compile(r"(?<![\w/.-])(?:opsverify|sandbox|tests)(?:\.[a-z_]\w*)+(?![\w(])")
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)\)")
_MADE_LATER = re.compile(
    r"reports/(?!README)|targets/(?:prod|NAME|plants)\b|docs/decisions/NNNN|checks/test_(?:flow|queue)\b|tests/X|\.toml\.example"
)
"""Paths that a command or the reader makes."""

_NO_MODULES = {"opsverify.heartbeat"}
"""A table of the database."""

PAGES = [page for page in pages() if page.name not in ("CHANGELOG.md", "runbook.md")]
_PER_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


@_PER_PAGE
def test_paths_and_modules_exist(page: Path) -> None:
    """Nobody is sent to a file that has moved."""
    text = page.read_text(encoding="utf-8")
    missing = [path for path in _paths(text) if not (REPOSITORY / path).exists() and not _globbed(path)]
    missing += [name for name in _MODULE.findall(text) if name not in _NO_MODULES and not _exists(name)]
    assert missing == []


@_PER_PAGE
def test_links_lead_somewhere(page: Path) -> None:
    """Files exist, and headings too."""
    broken = []
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A page that nothing links to is not read."""
    reached: set[Path] = set()
    ahead = [REPOSITORY / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        if page.is_dir():
            ahead += page.glob("*.md")
        elif page.suffix == ".md":
            links = (link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")))
            ahead += [found for link in links if link and (found := (page.parent / link).resolve()).exists()]
    assert [page for page in pages() if page not in reached] == []


def test_step_kinds_and_keys_of_a_journey_are_documented() -> None:
    """The table of writing-a-check.md has every key of a step, and the journey file every kind."""
    page = (REPOSITORY / "docs" / "writing-a-check.md").read_text(encoding="utf-8")
    table = page.partition("| key of a step |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)", table, re.MULTILINE) == list(_step_keys())
    header = (REPOSITORY / "smoke" / "journeys.toml").read_text(encoding="utf-8").partition("[[journey]]")[0]
    assert set(re.findall(r"^#   (\w+)", header, re.MULTILINE)) == set(_step_keys()) - _EVERY_STEP


_EVERY_STEP = {"title", "status", "expect", "keep", "ends", "by", "within"}
"""Keys that say more about a step; the others are its kinds."""


def _step_keys() -> Iterator[str]:
    for name, field in JourneyStep.model_fields.items():
        yield field.alias or name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_run_printed_is_in_one_language(page: Path) -> None:
    """Title and message follow one setting: no run prints a Korean title beside an English message."""
    printed = re.findall(r"^(?:pass|fail|FAIL|HOLD)  [a-z_]+\..*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in printed if re.search("[가-힣]", line) and re.search(r"limit|expected", line)] == []


def test_fragments_of_the_changelog_are_sentences() -> None:
    """The release makes a list of them: one that is a list already would be a list in a list."""
    fragments = sorted((REPOSITORY / "changelog.d").glob("+*.md"))
    assert fragments
    assert [
        path.name for path in fragments if re.search(r"^[-*] ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ] == []


def _paths(text: str) -> Iterator[str]:
    for found in _PATH.findall(text):
        path = found.rstrip(".")
        if not _MADE_LATER.match(path):
            yield path


def _globbed(path: str) -> bool:
    return "*" in path and any(REPOSITORY.glob(path))


def _exists(name: str) -> bool:
    """Whether a dotted name is a module, or a name in one."""
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    parent, _, last = name.rpartition(".")
    try:
        return parent != "" and hasattr(importlib.import_module(parent), last)
    except ModuleNotFoundError:
        return False


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
