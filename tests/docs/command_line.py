"""The command line as argparse has it: parsers of every command, and whether a line would be taken."""

from __future__ import annotations

import argparse
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from unittest import mock

import opsverify.cli.main
import sandbox.cli
from opsverify.cli.parser import CommandParser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAMS: dict[str, Callable[[Sequence[str]], int]] = {
    "opsverify": opsverify.cli.main.main,
    "sandbox": sandbox.cli.main,
}


class _Parser(Exception):  # noqa: N818 - carries a parser out of `main`
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


class _Taken(Exception):  # noqa: N818 - carries the news out of `main`
    pass


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its parser, in the order of `--help`: `opsverify verify`, `opsverify dr mark`, ..."""
    for program in PROGRAMS:
        yield from _below(program, [])


def refusal(program: str, arguments: list[str]) -> str:
    """What the parser of `program` says against `arguments`; empty if it takes them. Nothing is run."""
    errors: list[str] = []

    def note(parser: argparse.ArgumentParser, message: str) -> None:
        errors.append(f"{parser.prog}: {message}")
        raise SystemExit(2)

    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, *given: object) -> None:
        parse(parser, *given)  # type: ignore[call-overload]
        raise _Taken

    with (
        mock.patch.object(CommandParser, "error", note),
        mock.patch.object(argparse.ArgumentParser, "parse_args", only_parse),
        suppress(_Taken, SystemExit),
    ):
        PROGRAMS[program](arguments)
    return "; ".join(errors)


def _below(program: str, words: list[str]) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    parser = _parser(program, words)
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if words and not groups:
        yield " ".join([program, *words]), parser
    for name in (name for group in groups for name in group.choices):
        if program != "opsverify" or name not in opsverify.cli.main.HANDED_ON:
            yield from _below(program, [*words, name])


def _parser(program: str, words: list[str]) -> argparse.ArgumentParser:
    """The parser that would print `PROGRAM WORDS --help`, complete whatever is declared late."""
    with _help_caught():
        try:
            PROGRAMS[program]([*words, "--help"])
        except _Parser as caught:
            return caught.parser
    raise AssertionError(f"{program} {' '.join(words)} --help printed no help")


@contextmanager
def _help_caught() -> Iterator[None]:
    def carry(parser: argparse.ArgumentParser, _file: object = None) -> None:
        raise _Parser(parser)

    with mock.patch.object(argparse.ArgumentParser, "print_help", carry):
        yield
