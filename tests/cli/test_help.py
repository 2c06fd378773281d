"""Help and errors of the command line: every parser, command and option, in the language of the reader."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.argparse_texts import ERRORS, HEADINGS, error_text
from opsverify.cli.main import main
from opsverify.cli.parser import CommandParser, commands_of
from opsverify.cli.reader_language import language_of
from opsverify.language.cells import cells
from opsverify.language.message import Message
from sandbox import demo
from sandbox.cli import main as sandbox_main
from tests.docs.command_line import parsers, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

HANGUL = re.compile("[가-힣]")
COLUMNS = 80
NOT_OF_A_COMMAND_LINE = {
    "%(prog)s: error: %(message)s\n": "CommandParser.error writes the line",
    ".__call__() not defined": "an action without a body",
    "'required' is an invalid argument for positionals": "a wrong declaration",
    "mutually exclusive arguments must be optional": "a wrong declaration",
    "cannot have multiple subparser arguments": "a wrong declaration",
    "cannot merge actions - two groups are named %r": "a wrong declaration",
    "conflicting option string: %s": "a wrong declaration",
    "conflicting option strings: %s": "a wrong declaration",
    "conflicting subparser: %s": "a wrong declaration",
    "conflicting subparser alias: %s": "a wrong declaration",
    "dest= is required for options like %r": "a wrong declaration",
    "invalid conflict_resolution value: %r": "a wrong declaration",
    "invalid option string %(option)r: must start with a character %(prefix_chars)r": "a wrong declaration",
    "unexpected option string: %s": "a wrong declaration",
    "%r is not callable": "a wrong declaration",
    'argument "-" with mode %r': "FileType, which no command uses",
    "can't open '%(filename)s': %(error)s": "FileType, which no command uses",
    "invalid choice: %(value)r (choose from %(choices)s)": "CommandParser refuses the value first",
    "unknown parser %(parser_name)r (choices: %(choices)s)": "CommandParser refuses the value first",
    " (default: %(default)s)": "ArgumentDefaultsHelpFormatter, which no command uses",
    "%(heading)s:": "the heading is ours",
    "%(prog)s: warning: %(message)s\n": "of what is deprecated",
    "argument '%(argument_name)s' is deprecated": "nothing is deprecated",
    "command '%(parser_name)s' is deprecated": "nothing is deprecated",
    "option '%(option)s' is deprecated": "nothing is deprecated",
    "show program's version number and exit": "--version has a help of its own",
    "subcommands": "a title that no command uses",
}
"""Texts of argparse that no command line can cause, with the reason."""


def everything() -> Iterator[CommandParser]:
    """The parsers of all commands, and those above them."""
    for program in ("opsverify", "opsverify dr", "opsverify sandbox"):
        yield above(program)
    for _, parser in parsers():
        assert isinstance(parser, CommandParser)
        yield parser


def above(program: str) -> CommandParser:
    """The parser of a program or command that has commands below it."""
    found: list[CommandParser] = []

    def carry(parser: CommandParser, _file: object = None) -> None:
        found.append(parser)

    run, words = (sandbox_main, []) if program.endswith("sandbox") else (main, program.split()[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CommandParser, "print_help", carry)
        with pytest.raises(SystemExit):
            run([*words, "--help"])
    return found[0]


def shown(parser: CommandParser, language: str) -> str:
    """The help of a parser, as a terminal of 80 columns has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(COLUMNS))
        patch.setattr(CommandParser, "language", lambda _parser: language)
        return parser.format_help()


@pytest.fixture(scope="module")
def every_parser() -> tuple[CommandParser, ...]:
    """Every parser, declared."""
    return tuple(everything())


def test_every_option_and_argument_has_a_korean_help(every_parser: tuple[CommandParser, ...]) -> None:
    """One without help, or with help in English only, is named."""
    wrong = [
        f"{parser.prog} {'/'.join(action.option_strings) or action.dest}"
        for parser in every_parser
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
        and not (isinstance(action.help, Message) and HANGUL.search(action.help.ko))
    ]
    assert not wrong


def test_every_command_has_a_korean_description_and_examples(every_parser: tuple[CommandParser, ...]) -> None:
    """Also the commands below a command, and those of the sandbox."""
    wrong = [
        parser.prog
        for parser in every_parser
        if not (isinstance(parser.description, Message) and HANGUL.search(parser.description.ko) and parser.examples)
    ]
    assert not wrong
    assert {f"opsverify {name}" for name in commands_of(every_parser[0])} >= {"opsverify verify", "opsverify dr"}


@pytest.mark.parametrize("wrong", ["--no-such-option", "--no-such-option=-5m"])
def test_a_wrong_option_is_one_line_and_exit_4_for_every_command(
    every_parser: tuple[CommandParser, ...], capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    """Argparse's own 2 would mean interrupted to a pipeline."""
    for parser in every_parser:
        with pytest.raises(SystemExit) as caught:
            parser.parse_args([wrong])
        said = capsys.readouterr().err
        assert caught.value.code == 4, (parser.prog, said)
        assert said.startswith(f"{parser.prog}: "), said
        assert said.count("\n") == 1, said


def test_nothing_of_argparse_is_left_in_a_korean_help(every_parser: tuple[CommandParser, ...]) -> None:
    """Usage, headings, the line of `--help`, examples and exit codes; and nothing Korean in an English one."""
    for parser in every_parser:
        korean, english = shown(parser, "ko"), shown(parser, "en")
        assert not [text for text in (*HEADINGS, "examples:", "exit codes:") if re.search(rf"(?m)^\s*{text}", korean)]
        assert korean.startswith("사용법: ")
        assert "\n예:\n" in korean
        assert "\n종료 코드:\n" in korean
        assert not HANGUL.search(english)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_help_fits_80_columns(every_parser: tuple[CommandParser, ...], language: str) -> None:
    """A Korean letter takes two cells; only examples, which are copied, and exit codes may be longer."""
    wide = [
        line
        for parser in every_parser
        for line in shown(parser, language).partition("\n예:" if language == "ko" else "\nexamples:")[0].splitlines()
        if cells(line) > COLUMNS
    ]
    assert not wide


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="texts of argparse compared with Python 3.11 to 3.13")
def test_every_text_of_argparse_is_known() -> None:
    """A Python whose argparse has another error is found; so is an entry that it does not have."""
    texts = set(_translated_texts())
    assert not texts - set(ERRORS) - set(NOT_OF_A_COMMAND_LINE) - {str(text) for text in HEADINGS}
    assert not set(ERRORS) - texts


def _translated_texts() -> Iterator[str]:
    for node in ast.walk(ast.parse(Path(inspect.getfile(argparse)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext"):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


@pytest.mark.parametrize("template", ERRORS)
def test_every_error_of_argparse_is_korean(template: str) -> None:
    """Each template, filled in, is found again and has its Korean text."""
    filled = re.sub(r"%(?:\(\w+\))?[sr]", "x", template)
    message = error_text(filled)
    assert HANGUL.search(message.ko)
    assert not HANGUL.search(message.en)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["verfy"], "opsverify: 알 수 없는 COMMAND 'verfy'('verify'의 오타로 보임). 가능한 값: verify, "),
        (["verify"], "opsverify verify: STAGE, --target 누락. opsverify verify --help 참조"),
        (["verify", "daily", "--targt", "x"], "opsverify verify: 알 수 없는 옵션 --targt('--target'의 오타로 보임). "),
        (["verify", "daily", "--target"], "opsverify verify: 인자 --target: 값 하나 필요. "),
        (["evidence", "--keep", "x"], "opsverify evidence: 인자 --keep: 'x': 정수 필요. "),
        (["act", "latest", "--yes", "--dry-run"], "opsverify act: 인자 --dry-run: --yes 옵션과 함께 쓸 수 없음. "),
        (["report", "a", "b"], "opsverify: 예상하지 못한 인자: b. "),
    ],
)
def test_a_wrong_command_line_is_one_korean_line_and_exit_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:
    """Where the environment is Korean; no option had a chance to say so."""
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 4
    written = capsys.readouterr().err
    assert written.startswith(line)
    assert written.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["verify"], "ko_KR.UTF-8", "ko"),
        (["verify"], "ko", "ko"),
        (["verify"], "kok_IN", "en"),
        (["verify"], "C.UTF-8", "en"),
        (["verify", "--language", "en"], "ko_KR.UTF-8", "en"),
        (["verify", "--language=ko"], "C", "ko"),
        (["faults", "--lang", "ko"], "C", "ko"),
        (["verify", "--language"], "C", "en"),
        (["verify", "--target", "no-such-target"], "ko_KR.UTF-8", "ko"),
    ],
)
def test_language_of_a_command_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: str, expected: str
) -> None:
    """The option first, then the target, then the environment."""
    monkeypatch.setenv("LC_ALL", environment)
    assert language_of(arguments) == expected


def test_help_reads_the_catalogue_only_for_a_korean_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declaring and parsing a command, and an English help, cost no Korean."""
    monkeypatch.setattr("opsverify.language.message.korean", lambda template: pytest.fail(f"read for {template}"))
    for parser in everything():
        shown(parser, "en")


@pytest.mark.parametrize("arguments", [["--help"], ["--nonsense"], ["word"]])
def test_the_demo_takes_no_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """`opsverify demo --help` prints its help and starts nothing."""
    monkeypatch.setattr(demo, "_play_all", lambda: pytest.fail("the demo was started"))
    with pytest.raises(SystemExit) as ended:
        demo.main(arguments)
    assert ended.value.code == (0 if arguments == ["--help"] else 4)
    written = capsys.readouterr()
    assert "opsverify demo" in written.out + written.err


def test_the_docs_would_find_a_wrong_line() -> None:
    """What `tests.docs` uses to try the lines of the docs names what a parser refuses, and takes what it takes."""
    assert refusal("opsverify", ["verify", "daily", "--bogus", "x"])
    assert refusal("opsverify", ["verify"])
    assert not refusal("opsverify", ["verify", "daily", "--target", "x"])
