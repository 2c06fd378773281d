"""The stage itself on real backups: age and retention, healthy, stale, too few, and not promised."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.wreck import Disaster


TARGET = """
name = "t"
environment = "staging"
language = "en"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox"]
[owners]
default = "me"
[services.a]
url = "http://127.0.0.1:9"
[recovery]
base_backup = "{base}"
wal_archive = "{archive}"
ledger = "ledger"
{promise}
[limits]
{limits}
"""


@pytest.mark.parametrize(
    ("promise", "limits", "outcomes"),
    [
        ("retention = { backups = 1 }", "", ("pass", "pass")),
        ("", 'backup_age = "<= 1 ms"', ("fail", "not_applicable")),
        ('retention = { window = "1 d" }', 'rpo = "<= 1 ms"', ("fail", "fail")),
        ("retention = { backups = 2 }", "", ("pass", "fail")),
    ],
    ids=["healthy", "stale-backup", "stale-wal", "too-few"],
)
def test_age_and_retention(
    disaster: Disaster, scratch: Path, promise: str, limits: str, outcomes: tuple[str, str]
) -> None:
    """Each is red for its own reason, and says by how much."""
    text = TARGET.format(base=disaster.base, archive=disaster.archive, promise=promise, limits=limits)
    (scratch / "t.toml").write_text(text)
    argv = ["verify", "rehearsal", "--target", str(scratch / "t.toml"), "--report-dir", str(scratch / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "opsverify", *argv, "--", "-k", "test_backups"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env=os.environ,
    )
    verdict = json.loads((scratch / "run" / "verdict.json").read_text())
    found = {check["id"]: check for check in verdict["checks"]}
    assert (found["backup.age"]["outcome"], found["backup.retention"]["outcome"]) == outcomes, done.stdout
    if outcomes[0] == "fail":
        assert "limit <= 1ms" in found["backup.age"]["message"]
    kept = json.loads((scratch / "run" / "backups.json").read_text())
    assert kept["stock"]["backups"][0]["name"] == "base"
