"""Run options: every option of a stage run, declared once for pytest and for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from opsverify.config import overrides
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opsverify.config.model import Target
    from opsverify.language.message import Message

Kind = Literal["text", "path", "switch"]
Given = str | bool
"""The value of an option: a text, or True for a switch."""


@dataclass(frozen=True)
class RunOption:
    """One option: how it is written, which commands take it, and what it changes in the target (None: nothing).

    `kind` is `text`, `path` (absolute when it is handed on to another process) or `switch` (without a value).
    """

    flag: str
    help: Message
    commands: tuple[str, ...]
    metavar: str | None = None
    kind: Kind = "text"
    override: overrides.Override | None = None

    @property
    def name(self) -> str:
        """The attribute of a parsed command line that holds the value."""
        return self.flag.removeprefix("--").replace("-", "_")

    def declare(self, add: Callable[..., object], help_text: str) -> None:
        """Declare the option with `add`: argparse's `add_argument`, or `addoption` of pytest."""
        form: dict[str, Any] = {"action": "store_true"} if self.kind == "switch" else {"metavar": self.metavar}
        add(self.flag, help=help_text, **form)

    def argument(self, value: Given) -> str:
        """The option with its value, as one argument of another process."""
        if self.kind == "switch":
            return self.flag
        return f"{self.flag}={Path(str(value)).resolve() if self.kind == 'path' else value}"


WINDOW: Final = RunOption(
    "--window",
    say("how long the canary is observed (rollout: in each step), such as 12m"),
    ("verify", "rollout", "fleet"),
    "DURATION",
)
ALLOW_SHORT_WINDOW: Final = RunOption(
    "--allow-short-window", say("accept less than the runbook's window"), ("verify", "rollout", "fleet"), kind="switch"
)
REPORT_DIR: Final = RunOption(
    "--report-dir", say("put the run's evidence directly in DIR"), ("verify", "rehearse"), "DIR", "path"
)

RELEASE: Final = RunOption(
    "--release",
    say(
        "what is verified, for verdict and signature: image=REPOSITORY@sha256:DIGEST and, after commas, "
        "chart=NAME-VERSION, migration=REVISION"
    ),
    ("verify", "rehearse", "rollout", "fleet"),
    "NAME=VALUE,...",
)

LANGUAGE_HELP: Final = say("ko or en, for terminal, reasons and pages; default: language of the target")

RUN_OPTIONS: Final = (
    WINDOW,
    ALLOW_SHORT_WINDOW,
    REPORT_DIR,
    RELEASE,
    RunOption(
        "--recovery-target",
        say("the point in time the database was recovered to (ISO 8601)"),
        ("verify", "plan"),
        "TIME",
        override=overrides.recovered_to,
    ),
    RunOption(
        "--rolled-back-at",
        say("when the rollback began (ISO 8601)"),
        ("verify",),
        "TIME",
        override=overrides.rolled_back_at,
    ),
    RunOption(
        "--incident-since",
        say("when the incident began (ISO 8601)"),
        ("verify",),
        "TIME",
        override=overrides.incident_since,
    ),
    RunOption(
        "--switched-at",
        say("when traffic was given to the other region (ISO 8601)"),
        ("verify",),
        "TIME",
        override=overrides.switched_at,
    ),
    RunOption(
        "--share",
        say("the share of traffic the canary should receive, such as 50%"),
        ("verify",),
        "SHARE",
        override=overrides.at_share,
    ),
    RunOption(
        "--language",
        LANGUAGE_HELP,
        ("verify", "plan", "rehearse", "rollout"),
        "LANGUAGE",
        override=overrides.in_language,
    ),
)
"""Every option of a stage run. pytest takes all of them, a command those that name it."""


def options_of(command: str) -> Iterator[RunOption]:
    """The options that `opsverify COMMAND` takes."""
    return (option for option in RUN_OPTIONS if command in option.commands)


def given_in(options: object) -> dict[str, Given]:
    """The options that a parsed command line gives, by name."""
    values = {option.name: getattr(options, option.name, None) for option in RUN_OPTIONS}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def arguments_of(options: object) -> list[str]:
    """The options that a parsed command line gives, as arguments of another process."""
    given = given_in(options)
    return [option.argument(value) for option in RUN_OPTIONS if (value := given.get(option.name))]


def overridden(target: Target, stage: str, given: Mapping[str, Given]) -> Target:
    """`target` as a run of `stage` with the options `given` sees it. Raises TargetError for a value without sense."""
    for option in RUN_OPTIONS:
        if option.override is not None and (value := given.get(option.name)) is not None:
            target = option.override(target, option.flag, str(value))
    if not stage.startswith(overrides.INCIDENT):
        target = overrides.without_degraded(target)
    return overrides.rolled_back(target) if stage == overrides.AFTER_ROLLBACK else target
