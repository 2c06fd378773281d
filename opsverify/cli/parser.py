"""The parser of the command line, which imports the module of a command when the command is given."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

from opsverify.cli.argparse_texts import HELP, OPTIONS, POSITIONALS, error_text
from opsverify.cli.help_text import HelpText
from opsverify.cli.reader_language import language_of
from opsverify.core.exit_codes import ExitCode
from opsverify.language.message import Message, in_language, join, say
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXIT_CODES: Final = (
    say("exit codes:"),
    say("  0   promote, accept; done"),
    say("  1   rollback, reject"),
    say("  2-3 interrupted, internal error"),
    say("  4   usage: command line, target file or secrets"),
    say("  5   nothing collected"),
    say("  10  hold, refused: to a pipeline, all but 0 and 1 mean hold"),
)
_NUMBER_LIKE: Final = re.compile(r"-\d.*")
"""A value, not an option: `--window -5m` is a wrong duration, not a missing one."""


@dataclass(frozen=True)
class Command:
    """A command: its module, its line in the help of the level above, and examples of its use.

    The module has `add_arguments(parser) -> None` and `run(options, pytest_args) -> int`; `pytest_args` is what
    follows `--`. Where `add_arguments` adds commands of its own (`dr`), the module needs no `run`.
    """

    module: str
    help: Message
    examples: tuple[str, ...]


class CommandParser(argparse.ArgumentParser):
    """A parser that declares the arguments of its module (if it has one) before it parses any.

    A wrong command line is one line on stderr, and exit 4. Its texts may be messages: help and errors are printed in
    the language of `--language`, of the target, or of the environment.
    """

    module: str | None = None
    examples: tuple[str, ...] = ()
    exit_codes: tuple[Message, ...] = EXIT_CODES

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - argparse's
        settings.setdefault("allow_abbrev", False)
        super().__init__(*args, **settings)
        self._negative_number_matcher = _NUMBER_LIKE
        self._positionals.title, self._optionals.title = POSITIONALS, OPTIONS
        self._given: Sequence[str] = ()
        for action in self._actions:
            if isinstance(action, argparse._HelpAction):  # noqa: SLF001 - argparse has no other way
                action.help = HELP

    def declare(self) -> None:
        """Import the command's module and declare its arguments, once."""
        if self.module is None:
            return
        command = import_module(self.module)
        self.module = None
        command.add_arguments(self)
        if hasattr(command, "run"):
            self.set_defaults(run=command.run)

    def language(self) -> str:
        """The language of help and errors, as far as the given command line names one."""
        return language_of(self._given)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - argparse's overloads
        """Declare, then parse as argparse does."""
        self._given = list(sys.argv[1:] if args is None else args)
        self.declare()
        if not commands_of(self):
            self._refuse_unknown_options(list(self._given))
        return super().parse_known_args(args, namespace)

    def _refuse_unknown_options(self, args: list[str]) -> None:
        """Name an unknown option, before argparse asks for the one that was meant."""
        known = options_in(self)
        for argument in args[: args.index("--")] if "--" in args else args:
            name = argument.partition("=")[0]
            if name.startswith("--") and name not in known:
                self.error(say("unknown option {name}{near}", name=name, near=nearest(name, known)))

    def format_help(self) -> str:
        """The help, with examples and exit codes at its end."""
        examples = join("\n", (say("examples:"), *(join("", ("  ", example)) for example in self.examples)))
        before = self.epilog
        parts = (before, examples if self.examples else None, join("\n", self.exit_codes))
        self.epilog = join("\n\n", (part for part in parts if part))
        try:
            return super().format_help()
        finally:
            self.epilog = before

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 4: argparse's own 2 means interrupted to a pipeline."""
        problem = message if isinstance(message, Message) else error_text(message)
        text = say("{program}: {problem}; see {program} --help", program=self.prog, problem=problem)
        sys.stderr.write(f"{plain_line(in_language(text, self.language()))}\n")
        sys.exit(ExitCode.USAGE)

    def _get_formatter(self) -> argparse.HelpFormatter:
        return HelpText(self.prog, self.language)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        self.error(
            say(
                "unknown {name} {value!r}{near}; expected one of: {known}",
                name="/".join(action.option_strings) or action.metavar or action.dest,
                value=str(value),
                near=nearest(str(value), known),
                known=", ".join(known),
            )
        )


def nearest(name: str, known: list[str]) -> str:
    """`; did you mean 'daily'?`, or nothing where no name is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return say("; did you mean {name!r}?", name=close[0]) if close else ""


def add_commands(parser: argparse.ArgumentParser, commands: Mapping[str, Command], metavar: str) -> None:
    """Let `parser` take one of `commands`."""
    parsers = parser.add_subparsers(required=True, metavar=metavar, parser_class=CommandParser)
    for name, command in commands.items():
        parser_of_command = parsers.add_parser(name, help=command.help, description=command.help)
        parser_of_command.module, parser_of_command.examples = command.module, command.examples


def commands_of(parser: argparse.ArgumentParser) -> Mapping[str, CommandParser]:
    """The parsers of a parser's commands; none for a command without any."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse has no other way
    return found[0].choices if found else {}


def options_in(parser: argparse.ArgumentParser) -> list[str]:
    """The options that a parser takes."""
    return [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001 - as above
