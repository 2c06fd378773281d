"""Run options: each row of the one table, in pytest, in every command it names, and in what it changes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.main import COMMANDS
from opsverify.cli.parser import CommandParser, add_commands
from opsverify.config.run_options import RUN_OPTIONS, RunOption, arguments_of, given_in
from opsverify.errors import TargetError
from opsverify.pytest_plugin.plugin import pytest_addoption
from opsverify.pytest_plugin.request import Request
from opsverify.pytest_plugin.stage_run import StageRun
from tests.support.target_file import REGIONS, SMALLEST

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

REQUIRED = {
    "verify": ["prod-canary", "--target=t"],
    "plan": ["staging", "--target=t"],
    "rollout": ["--target=t"],
    "rehearse": ["--target=t"],
    "fleet": ["prod-canary", "--targets=t"],
}
"""Commands with run options, and the arguments that each needs."""
OF_THE_FLEET = ("--report-dir", "--language")
"""Options that `opsverify fleet` takes for itself: they are none of its units'."""

MOMENT = "2026-11-22T20:00:00+09:00"
AT = dt.datetime.fromisoformat(MOMENT)
SHORT = {"window": "1m"}
CHANGES: dict[str, tuple[str, dict[str, str], Callable[[StageRun], object], object]] = {
    "--window": ("12m", {}, lambda run: run.window_s, 720.0),
    "--allow-short-window": ("", SHORT, lambda run: run.window_s, 60.0),
    "--report-dir": ("evidence", {}, lambda run: run.folder.path.name, "evidence"),
    "--release": ("chart=judgment-1.4.2", {}, lambda run: run.binding["release"], {"chart": "judgment-1.4.2"}),
    "--recovery-target": (MOMENT, {}, lambda run: run.target.recovery and run.target.recovery.recovery_target, AT),
    "--rolled-back-at": (MOMENT, {}, lambda run: run.target.actions.rolled_back_at, AT),
    "--incident-since": (MOMENT, {}, lambda run: run.target.playbook.since, AT),
    "--switched-at": (MOMENT, {}, lambda run: run.target.regions and run.target.regions.switched_at, AT),
    "--language": ("ko", {}, lambda run: run.target.language, "ko"),
    "--share": ("50 %", {}, lambda run: run.target.limits.traffic_share.text, "40%..60%"),
}
"""For every option: a value, other options given with it, what it changes in a run, and to what."""

every_option = pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.flag)


def written(option: RunOption) -> list[str]:
    """The option on a command line."""
    value = CHANGES[option.flag][0]
    return [option.flag, value] if value else [option.flag]


def parsed(command: str, *arguments: str) -> argparse.Namespace:
    """The command line of `command`, parsed and not run."""
    parser = CommandParser("opsverify")
    add_commands(parser, COMMANDS, "COMMAND")
    return parser.parse_args([command, *REQUIRED[command], *arguments])


def pytest_parser() -> pytest.Parser:
    """The parser of pytest, with the plugin's options."""
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser, pytest.PytestPluginManager())
    return parser


def test_every_option_is_tested_here() -> None:
    """A new row needs a line in `CHANGES`, and names only commands that exist."""
    assert {option.flag for option in RUN_OPTIONS} == set(CHANGES)
    assert {command for option in RUN_OPTIONS for command in option.commands} == set(REQUIRED)


@every_option
def test_pytest_takes_it_and_shows_it(option: RunOption) -> None:
    """Its value reaches the plugin by name; its help is in `pytest --help`."""
    parser = pytest_parser()
    given = given_in(parser.parse(written(option)))
    assert given == {option.name: CHANGES[option.flag][0] or True}
    [group] = [group for group in parser._groups if group.name == "opsverify"]
    [row] = [row for row in group.options if option.flag in row.names()]
    assert row.attrs()["help"] % () == option.help


@every_option
@pytest.mark.parametrize("command", REQUIRED)
def test_its_commands_take_it_show_it_and_hand_it_on(
    option: RunOption, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands that it names, and no others; what they hand on, pytest reads as what was given."""
    if command == "fleet" and option.flag in OF_THE_FLEET:
        return
    if command not in option.commands:
        with pytest.raises(SystemExit):
            parsed(command, *written(option))
        return
    [handed_on] = arguments_of(parsed(command, *written(option)))
    assert handed_on.startswith(option.flag)
    assert option.name in given_in(pytest_parser().parse([handed_on]))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        parsed(command, "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert option.flag in shown
    assert option.help in shown


@every_option
def test_it_changes_the_run(option: RunOption, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it the run is as the option says; without it, it is refused or otherwise."""
    monkeypatch.chdir(tmp_path)
    described = SMALLEST.replace('"prometheus", ', "").replace('"canary", ', "").replace(', "recovery"', "")
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "t.toml").write_text(
        f'{described}[prometheus]\nurl = "http://127.0.0.1:9"\n[canary]\n'
        f'[recovery]\nbase_backup = "base"\nwal_archive = "wal"\nledger = "ledger.jsonl"\n{REGIONS}'
    )
    value, others, read, expected = CHANGES[option.flag]
    given = {**others, option.name: value or True}
    assert read(StageRun.begin(Request("prod-canary", "t", given), tmp_path)) == expected
    if not others:
        assert read(StageRun.begin(Request("prod-canary", "t"), tmp_path)) != expected


@pytest.mark.parametrize("option", [one for one in RUN_OPTIONS if one.kind == "text"], ids=lambda option: option.flag)
@pytest.mark.parametrize("value", ["-5m", "nonsense"])
def test_a_value_without_sense_is_refused_whatever_the_stage(option: RunOption, value: str, tmp_path: Path) -> None:
    """Also where the target lacks what the option is about: a typing error is told, not ignored."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "t.toml").write_text(SMALLEST)
    with pytest.raises(TargetError, match=option.flag):
        StageRun.begin(Request("daily", "t", {option.name: value}), tmp_path)
    assert not (tmp_path / "reports").exists()
