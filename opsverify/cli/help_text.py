"""Help of a command in the language of its reader, wrapped by the width of its letters on a terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from opsverify.cli.argparse_texts import USAGE
from opsverify.language.cells import cells, wrapped
from opsverify.language.message import Message, in_language

if TYPE_CHECKING:
    from collections.abc import Callable


class HelpText(argparse.HelpFormatter):
    """argparse's formatter, whose texts may be messages; `language` is called when the first one is written."""

    def __init__(self, prog: str, language: Callable[[], str]) -> None:
        super().__init__(prog)
        self._language = language

    def _in_language(self, text: str) -> str:
        return in_language(text, self._language()) if isinstance(text, Message) else text

    def start_section(self, heading: str | None) -> None:
        """Begin a section."""
        super().start_section(None if heading is None else self._in_language(heading))

    def add_text(self, text: str | None) -> None:
        """Add a description or an epilog; a `%` in it is a `%`."""
        if text and text != argparse.SUPPRESS:
            self._add_item(self._paragraphs, [self._in_language(text)])

    def _format_usage(self, usage, actions, groups, prefix):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - argparse's
        prefix = self._in_language(USAGE) if prefix is None else prefix
        of_its_width = "u" * cells(prefix)  # argparse counts letters
        return prefix + super()._format_usage(usage, actions, groups, of_its_width).removeprefix(of_its_width)

    def _expand_help(self, action: argparse.Action) -> str:
        help_text = action.help or ""
        return self._in_language(help_text) if isinstance(help_text, Message) else super()._expand_help(action)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return list(wrapped("", " ".join(text.split()), width))

    def _paragraphs(self, text: str) -> str:
        """`text` with its lines; one that is too long is wrapped, unless it is indented: a command to copy."""
        lines: list[str] = []
        for line in text.splitlines():
            fits = cells(line) <= self._width or line.startswith(" ")
            lines += [line] if fits else wrapped("", line, self._width)
        return "\n".join(lines) + "\n\n"
