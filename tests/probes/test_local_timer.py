"""Durations of probes and suites: measured by the local timer, so that each is known as this machine's own."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAITS = {
    "local_timer.py": "it is the timer",
    "eventually.py": "the deadline of a wait, which is no measurement",
    "http_transport.py": "the deadline of a request",
    "libpq.py": "the deadline of a connection",
    "prometheus_body.py": "the deadline of an answer's body",
}
CLOCKS = ("perf_counter", "monotonic", "perf_counter_ns", "monotonic_ns")


def _modules() -> Iterator[Path]:
    for folder in ("opsverify/probes", "checks", "smoke", "dr_validation"):
        yield from (REPOSITORY / folder).glob("*.py")


def test_no_other_clock() -> None:
    """A probe or check that counts seconds by itself would fail for this machine's slowness."""
    found = {
        f"{path.parent.name}/{path.name}"
        for path in _modules()
        if path.name not in WAITS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    }
    assert not found


def test_every_duration_of_a_reply_is_elapsed() -> None:
    """A field `elapsed_s` is annotated as what the local timer returns."""
    fields = [
        (path.name, ast.unparse(node.annotation))
        for folder in ("probes", "switchback")
        for path in (REPOSITORY / "opsverify" / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "elapsed_s"
    ]
    assert len(fields) > 3
    assert {annotation for _, annotation in fields} == {"Elapsed"}
