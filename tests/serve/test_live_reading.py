"""Reading of a run that goes on: its observation and its results, while they are written, and whatever they are."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsverify.canary.observation import NAME, read_observation
from opsverify.canary.observer import Observer
from opsverify.canary.trace import trace
from opsverify.evidence.once import draft_of
from opsverify.serve import live_window
from opsverify.serve.live_checks import LiveChecks
from opsverify.serve.live_window import LiveWindow
from tests.canary.cluster import ERRORS, SLOW, Source
from tests.canary.situations import cluster, replaced

if TYPE_CHECKING:
    from pathlib import Path


@cache
def lines() -> tuple[str, ...]:
    """An observation, line by line."""
    world = cluster(1, replaced(), counted=(ERRORS, SLOW))
    kept: list[Any] = []
    Observer(Source(world), world.clock, lambda _: None, kept.append).observe(world.setup)  # type: ignore[arg-type]
    return tuple(kept)


@settings(max_examples=15, deadline=None)
@given(looks=st.sets(st.integers(0, 60)), most=st.sampled_from([1000, 1 << 20]))
def test_looks_in_between_change_nothing(tmp_path_factory: pytest.TempPathFactory, looks: set[int], most: int) -> None:
    """Whenever and in however small parts it is read, the picture is that of the whole file at its end."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_window, "MOST_AT_ONCE", most)
        window = LiveWindow(folder)
        assert window.trace() is None
        with gzip.open(draft_of(folder, NAME), "wt", encoding="utf-8") as file:
            for number, line in enumerate(lines()):
                file.write(line + "\n")
                file.flush()
                if number in looks:
                    window.trace()
        draft_of(folder, NAME).rename(folder / NAME)
        for _ in range(100 if most == 1000 else 1):
            found = window.trace()
    whole = trace(*read_observation(folder / NAME))
    assert found is not None
    if most > 1000 or len(found.criteria[0].points) == len(whole.criteria[0].points):
        assert (found.criteria, found.events) == (whole.criteria, whole.events)
        assert found.decision == whole.decision


def test_an_observation_that_begins_anew(tmp_path: Path) -> None:
    """A worker died in the window; the next one's observation takes the place of its."""
    window = LiveWindow(tmp_path)
    draft = draft_of(tmp_path, NAME)
    draft.write_bytes(gzip.compress("\n".join(lines()[:5]).encode() + b"\n"))
    before = window.trace()
    anew = draft.with_name("anew")
    anew.write_bytes(gzip.compress("\n".join(lines()[:3]).encode() + b"\n"))
    anew.replace(draft)
    after = window.trace()
    assert before is not None
    assert after is not None
    assert (len(before.criteria[0].points), len(after.criteria[0].points)) == (4, 2)


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"no json\n"), gzip.compress(b"{}\n{}\n"), gzip.compress(b"\xff\n"),
     gzip.compress(b"x" * 5_000_000)],
    ids=["empty", "other", "text", "objects", "bytes", "one line"],
)  # fmt: skip
def test_another_file_is_no_window(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies there, the page is shown, without a picture."""
    monkeypatch.setattr(live_window, "LONGEST_STEP", 1 << 20)
    (tmp_path / NAME).write_bytes(content)
    window = LiveWindow(tmp_path)
    assert window.trace() is None
    assert window.trace() is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A run's folder may be written to by others than this server."""
    (tmp_path / "elsewhere").write_bytes(gzip.compress("\n".join(lines()[:3]).encode() + b"\n"))
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    assert LiveWindow(tmp_path).trace() is None


def _planned(check: str, **reasons: str) -> dict[str, str | None]:
    given = {"not_applicable": None, "cannot_run": None, "attests": None} | reasons
    return {"id": check, "ko": f"{check} 점검", "en": f"Check {check}", **given}


def _result(folder: Path, number: int, check: str, status: str) -> None:
    content = {"status": status, "labels": [{"name": "severity", "value": "x"}, {"name": "as_id", "value": check}]}
    (folder / "allure-results" / f"{number}-result.json").write_text(json.dumps(content), encoding="utf-8")


def test_checks_are_counted_as_they_end(tmp_path: Path) -> None:
    """Those that run, once each; one that needs no run is none, and what cannot be read is read again."""
    checks = LiveChecks(tmp_path)
    assert checks.counts() is None
    plan = [_planned("a"), _planned("b"), _planned("c"), _planned("d", not_applicable="no cache"),
            _planned("e", cannot_run="not collected"), _planned("f", attests="1/x")]  # fmt: skip
    (tmp_path / "plan.json").write_text(json.dumps({"checks": plan}), encoding="utf-8")
    found = checks.counts()
    assert found is not None
    assert (found.planned, found.done) == (3, 0)
    (tmp_path / "allure-results").mkdir()
    _result(tmp_path, 1, "a", "failed")
    _result(tmp_path, 2, "d", "skipped")
    (tmp_path / "allure-results" / "3-result.json").write_text("{", encoding="utf-8")
    found = checks.counts()
    assert found is not None
    assert (found.done, [title.ko for title in found.failed], found.unmeasured) == (1, ["a 점검"], ())
    _result(tmp_path, 3, "b", "broken")
    _result(tmp_path, 4, "c", "passed")
    found = checks.counts()
    assert found is not None
    assert (found.done, [title.en for title in found.unmeasured]) == (3, ["Check b"])
