"""Usage errors: exit 4, one line for each fault, nothing contacted, no folder left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pytest_plugin.suite import SECRET, Suite

if TYPE_CHECKING:
    from pathlib import Path

CANARY_TARGET = """
[prometheus]
url = "http://127.0.0.1:9"
[canary]
"""


@pytest.mark.parametrize("way", ["cli", "pytest"])
@pytest.mark.parametrize(
    ("stage", "target", "said"),
    [
        ("dayly", "t", "stage 'dayly': no such stage; did you mean 'daily'?"),
        ("daily", "tt", "target 'tt': no file"),
        ("daily", "nowhere.toml", "nowhere.toml"),
    ],
)
def test_unknown_names(suite: Suite, way: str, stage: str, target: str, said: str) -> None:
    """An unknown stage or target names the nearest or the known ones."""
    ran = suite.run(way, stage=stage, target=target)
    assert ran.code == 4, str(ran)
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert ran.folder is None


@pytest.mark.parametrize("value", ["", "short"])
def test_missing_or_short_secret(suite: Suite, value: str) -> None:
    """An unset or too short secret is named, never shown."""
    suite.variables["PLANTED_SECRET"] = value
    ran = suite.run()
    assert ran.code == 4
    assert "services.a.bearer: secret" in ran.err
    assert "PLANTED_SECRET" in ran.err
    assert "'short'" not in ran.err
    assert ran.folder is None


def test_all_faults_of_a_target_at_once(suite: Suite) -> None:
    """Every fault of the target file has its own line."""
    del suite.variables
    suite.variables = {"PLANTED_SECRET": ""}
    suite.target('[limits]\nerror_rat = "< 1 %"\nmcp_timeout_rate = "< 5 parsecs"\n')
    ran = suite.run()
    assert ran.code == 4
    lines = [line for line in ran.err.splitlines() if "t.toml: " in line]
    assert len(lines) == 3, ran.err
    assert "did you mean 'error_rate'?" in ran.err


@pytest.mark.parametrize(
    ("window", "code"),
    [(["--window=30s"], 4), (["--window=soon"], 4), (["--window=30s", "--allow-short-window"], 5)],
)
def test_short_window(suite: Suite, window: list[str], code: int) -> None:
    """A canary observed for less than the runbook says is refused unless asked for, and then noted."""
    text = (suite.root / "targets" / "t.toml").read_text()
    (suite.root / "targets" / "t.toml").write_text(
        text.replace('"prometheus", ', "").replace('"canary", ', "") + CANARY_TARGET
    )
    ran = suite.run("cli", window, stage="prod-canary")
    assert ran.code == code, str(ran)
    if code == 4:
        assert "--window" in ran.err
    else:
        assert ran.verdict is not None
        assert "shorter than the runbook's 10m" in ran.verdict["notes"][0]


def test_a_window_below_zero(suite: Suite) -> None:
    """`--window -5m` is no missing value, and refused where no canary is observed as well: one line, exit 4."""
    ran = suite.ended(suite.start([*suite.command("cli")[:-1], "--window", "-5m"]))
    assert ran.code == 4, str(ran)
    told = """ERROR: --window: "-5m" is not a duration: expected a number and a unit, such as "12m" or "30s\""""
    assert ran.err.strip() == told


def test_stage_without_target(suite: Suite) -> None:
    """Plain pytest with a stage and no target says what is missing."""
    command = [part for part in suite.command("pytest") if not part.startswith("--target")]
    ran = suite.ended(suite.start(command))
    assert ran.code == 4
    assert "--stage needs --target" in ran.err


def test_checks_without_a_stage(suite: Suite) -> None:
    """Plain pytest over the suites refuses to run checks that could measure nothing."""
    command = [part for part in suite.command("pytest") if not part.startswith("--")]
    ran = suite.ended(suite.start(command))
    assert ran.code == 4
    assert "checks run in a stage" in ran.err


def test_the_secret_is_worth_searching(suite: Suite) -> None:
    """The planted secret has different spellings in URL, JSON and base64: else a search proves little."""
    assert suite.environment["PLANTED_SECRET"] == SECRET
    assert {*"/+&ë"} <= {*SECRET}


def test_an_image_without_its_digest_is_refused(suite: Suite) -> None:
    """A tag says nothing of what was verified: refused before anything is measured."""
    ran = suite.run(args=["--release=image=judgment:1.4"])
    assert ran.code == 4, str(ran)
    assert "--release: image=judgment:1.4: a tag can be moved after it was verified" in ran.err
    assert ran.folder is None


@pytest.mark.parametrize("name", ["job[1]", "a::b"])
def test_a_project_whose_path_pytest_cuts(tmp_path: Path, name: str) -> None:
    """One line that says what to rename, before a run begins."""
    ran = Suite.make(tmp_path / name).run("cli")
    assert ran.code == 4, str(ran)
    assert "rename the folder" in ran.err
    assert ran.folder is None
