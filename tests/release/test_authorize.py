"""Refusals of a verdict: one line for each reason, and no action taken."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.core.stages import Decision
from opsverify.errors import Refused
from opsverify.release.authorize import read_order
from tests.release.ordered import BOTH, KEY, finish, note, platform_in, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opsverify.release.authorize import Order
    from opsverify.release.execute import Platform

WITHOUT_PROMOTE = BOTH.replace(steps("promote", note("promoted")), "")


def read(folder: Path, platform: Platform, key: str | None = KEY) -> Order:
    """Read the order in `folder` now."""
    return read_order(folder, platform.target, key, platform.redactor, dt.datetime.now(dt.UTC))


def age(minutes: float) -> Callable[[], str]:
    """A time so many minutes before the test, which may begin long after this module was imported."""

    def then() -> str:
        return (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)).isoformat()

    return then


VERDICTS: dict[str, tuple[dict[str, Any], str]] = {
    "hold": ({"decision": "hold", "actions": []}, "decided hold .*fix that"),
    "accept": ({"stage": "daily", "decision": "accept", "actions": []}, "daily decides accept"),
    "reject": ({"stage": "post-rollback", "decision": "reject", "actions": []}, "has no actions"),
    "another target": ({"target": "staging"}, "target staging"),
    "another environment": ({"environment": "staging"}, r"not prod \(production\)"),
    "too old": ({"finished_at": age(31)}, "old, limit 30m"),
    "from the future": ({"finished_at": age(-120)}, "in the future; correct the clock"),
    "interrupted": ({"exit_code": 2}, r"interrupted or incomplete \(exit 2\)"),
    "nothing planned": ({"planned": 0}, "incomplete"),
    "other steps": (
        {"actions": [{"argv": ["helm", "rollback"]}]},
        "steps of its verdict differ from those of the target",
    ),
    "another schema": ({"schema": "opsverify.verdict/9"}, "expected schema"),
    "no time": ({"finished_at": "yesterday"}, "not a verdict"),
    "unknown stage": ({"stage": "moon"}, "not a verdict"),
    "unknown decision": ({"decision": "maybe", "actions": []}, "not a verdict"),
    "no actions": ({"actions": None}, "not a verdict"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_refused_verdict(name: str, tmp_path: Path, platform: Platform) -> None:
    """A verdict that orders nothing, or that is about something else, is not carried out."""
    changes, said = VERDICTS[name]
    changes = {key: value() if callable(value) else value for key, value in changes.items()}
    folder = finish(tmp_path / "reports" / "1", platform, **changes)
    with pytest.raises(Refused, match=said) as refused:
        read(folder, platform)
    assert "\n" not in str(refused.value)


TOUCHED: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered evidence": (lambda run: (run / "plan.json").write_text("{ }"), "plan.json: altered"),
    "additional file": (lambda run: (run / "more.txt").write_text("x"), "additional"),
    "missing file": (lambda run: (run / "plan.json").unlink(), "missing"),
    "altered verdict": (
        lambda run: (run / "verdict.json").write_text((run / "verdict.json").read_text().replace("2.31%", "9.99%")),
        "not the file that was signed",
    ),
    "no manifest": (lambda run: (run / "manifest.sha256").unlink(), "manifest.sha256"),
    "no signature": (lambda run: (run / "signature.dsse.json").unlink(), "not signed"),
    "no verdict": (lambda run: (run / "verdict.json").unlink(), "name a finished run"),
    "half a verdict": (lambda run: (run / "verdict.json").write_text('{"schema'), "not JSON"),
}


@pytest.mark.parametrize("name", TOUCHED)
def test_refused_evidence(name: str, tmp_path: Path, platform: Platform) -> None:
    """Evidence that is not what was sealed orders nothing."""
    touch, said = TOUCHED[name]
    folder = finish(tmp_path / "reports" / "1", platform)
    touch(folder)
    with pytest.raises(Refused, match=said):
        read(folder, platform)


def test_unsigned_run_counts_only_where_the_target_has_no_key(tmp_path: Path, platform: Platform) -> None:
    """A target that signs refuses unsigned evidence; one that does not takes the manifest's word."""
    folder = finish(tmp_path / "reports" / "1", platform, signed=False)
    with pytest.raises(Refused, match="not signed"):
        read(folder, platform)
    assert read(folder, platform, key=None).signed_by is None


def test_a_promotion_that_left_out_what_its_stage_decides_by(tmp_path: Path, platform: Platform) -> None:
    """Judged again from the verdict itself; what the runbook takes out of scope is no such line."""
    checks = [
        {"id": "canary.error_rate", "outcome": "pass", "lines": ["8/errors"]},
        {"id": "canary.coverage", "outcome": "not_applicable", "lines": ["8/window"]},
    ]
    given: dict[str, Any] = {"decision": "promote", "planned": 2, "checks": checks}
    folder = finish(tmp_path / "reports" / "1", platform, **given)
    with pytest.raises(Refused, match="says promote, but its checks decide hold"):
        read(folder, platform)
    scoped = {"lines": ["8/window"], "of": 2, "out_of_scope": ["8/window"]}
    folder = finish(tmp_path / "reports" / "2", platform, **given, left_out=scoped)
    assert read(folder, platform).decision is Decision.PROMOTE


def test_no_steps(tmp_path: Path) -> None:
    """A decision without steps is no order, and says what to add."""
    platform = platform_in(tmp_path, WITHOUT_PROMOTE)
    folder = finish(tmp_path / "reports" / "1", platform, decision="promote")
    with pytest.raises(Refused, match=r"lists no \[\[actions.promote\]\]"):
        read(folder, platform)


def test_later_run_outweighs_a_promotion_but_never_a_rollback(tmp_path: Path, platform: Platform) -> None:
    """An earlier promotion is void once a later run held or rolled back; rolling back is always safe."""
    promoted = finish(tmp_path / "reports" / "1", platform, decision="promote")
    rolled_back = finish(tmp_path / "reports" / "2", platform)
    with pytest.raises(Refused, match="later run run-2 decided rollback"):
        read(promoted, platform)
    finish(tmp_path / "reports" / "3", platform, decision="promote")
    assert read(rolled_back, platform).decision is Decision.ROLLBACK


def test_order_is_read(tmp_path: Path, platform: Platform) -> None:
    """A fresh, signed, decided verdict is an order, with the target's steps."""
    order = read(finish(tmp_path / "reports" / "1", platform), platform)
    assert (order.run_id, order.decision, len(order.steps)) == ("run-1", Decision.ROLLBACK, 2)
    assert order.signed_by
