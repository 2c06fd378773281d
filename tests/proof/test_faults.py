"""The proof: on a healthy platform all is green, and every fault turns exactly the declared checks red."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import ExitStack
from html import unescape
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.fault_table import Row, rows, variants
from tests.proof.secure_server import secure_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.standin import Standin

CERTIFICATE = "certificate_days"


@pytest.fixture
def around(standin: Standin, row: Row) -> Iterator[ExitStack]:
    """Whatever a row switches on goes off again, and the next one begins on a quiet platform."""
    standin.await_quiet(row.stage)
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("row", rows(), ids=attrgetter("name"))
def test_exactly_the_declared_checks_turn_red(row: Row, standin: Standin, around: ExitStack) -> None:
    """Healthy, all pass; with the row's fault, the declared checks are red, and no others."""
    target = standin.target_with_platform if row.platform else standin.target_of(row.stage)
    if row.variant:
        change: dict[str, Any] = dict(variants()[row.variant])
        days = change.pop(CERTIFICATE, None)
        if days is not None:
            served = around.enter_context(secure_server(standin.folder / row.variant, days))
            change["services"] = {"secure": served}
        target = standin.target_of(row.stage, row.variant, change)
    standin.await_that(lambda: standin.backup_age_s >= row.backup_age_s, "the backup to grow old")
    arguments = [] if row.restored else standin.arguments(row.stage, row.target, row.backup_age_s, row.window)
    if row.stage == "post-rollback":
        arguments += around.enter_context(standin.rolled_back(row.omit))
    began = None
    if row.stage.startswith("incident-"):
        began = _incident(row, standin)
        arguments.append(f"--incident-since={began.isoformat()}")
    if row.fault:
        around.enter_context(standin.fault(row.fault, row.scope))
    if row.restored:
        arguments = standin.arguments_after_now()
    if row.until:
        standin.await_effect(row.until)
    if began:
        standin.await_reaction(began)
    _remedy(row, standin, around)
    run = standin.verify(row.stage, *arguments, target=target)
    wrong = row.wrong(run.reds)
    assert not wrong, f"{row.name}:\n" + "\n".join([*wrong, run.story])
    assert run.exit_code == row.exit_code, run.story
    if row.says:
        assert any(re.search(row.says, reason) for reason in run.verdict["reasons"]), run.story
        assert row.stage != "rehearsal" or re.search(row.says, unescape(run.page)), f"{row.says}: not on the page"


def _incident(row: Row, standin: Standin) -> dt.datetime:
    """When the row's incident begins: with its fault, after all effects of the row before; or some seconds ago."""
    if row.until:
        standin.await_no_effect(row.until)
    return dt.datetime.now(dt.UTC) if row.fault else standin.uneventful_since()


def _remedy(row: Row, standin: Standin, around: ExitStack) -> None:
    for remedy in row.remedy:
        around.enter_context(standin.remedy(remedy, effect=not row.without_effect))
    if row.then:
        standin.await_effect(row.then)
