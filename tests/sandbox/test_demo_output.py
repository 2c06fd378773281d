"""The demo's output: every scene alike, within its columns, and all of them on two screens."""

from __future__ import annotations

from pathlib import Path

from opsverify.language.cells import cells
from sandbox.demo import SCENES
from sandbox.demo_output import Played, end, summary

COLUMNS = 80
TWO_SCREENS = 48
CAUSE = {"outcome": "fail", "message": "4 of 24 rows are missing, " * 12, "message_ko": "행 누락", "checks": ["sql.x"]}


def test_all_scenes_fit_on_two_screens_of_80_columns() -> None:
    """However long a reason is; a verdict that was not expected stands out."""
    played = [
        Played(
            scene,
            scene.exit_code,
            {"decision": scene.decision, "checks": [{"outcome": "fail"}], "reasons": ["x"], "causes": [CAUSE]},
            "report.html",
        )
        for scene in SCENES
    ]
    played[-1] = Played(SCENES[-1], 0, {}, "no report")
    rows = [row for one in played for row in summary(one, COLUMNS)] + list(
        end(played, Path("reports/demo"), 9, COLUMNS)
    )
    assert len(rows) <= TWO_SCREENS
    assert max(cells(row.text) for row in rows) <= COLUMNS
    assert rows[-2].text == "1 verdicts NOT as expected, 9 s"
    assert any("EXPECTED REJECT, exit 1" in row.text for row in rows)
