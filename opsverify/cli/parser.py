"""The parser of the command line, which imports the module of a command when the command is given."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Command:
    """A command: its module, and its line in the help of the level above.

    The module has `add_arguments(parser) -> None` and `run(options, pytest_args) -> int`; `pytest_args` is what
    follows `--`. Where `add_arguments` adds commands of its own (`dr`), the module needs no `run`.
    """

    module: str
    help: str


class CommandParser(argparse.ArgumentParser):
    """A parser that declares the arguments of its module (if it has one) before it parses any."""

    module: str | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - argparse's overloads
        """Import the command's module, then parse as argparse does."""
        if self.module is not None:
            command = import_module(self.module)
            self.module = None
            command.add_arguments(self)
            if hasattr(command, "run"):
                self.set_defaults(run=command.run)
        return super().parse_known_args(args, namespace)


def add_commands(parser: argparse.ArgumentParser, commands: Mapping[str, Command], metavar: str) -> None:
    """Let `parser` take one of `commands`."""
    parsers = parser.add_subparsers(required=True, metavar=metavar, parser_class=CommandParser)
    for name, command in commands.items():
        parsers.add_parser(name, help=command.help, description=command.help).module = command.module
