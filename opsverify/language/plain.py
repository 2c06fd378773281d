r"""Plain text: foreign text (a service's answer, a log, a file) as terminal and page may show it.

An answer with `ESC[2J` clears a screen, one with a line break forges a line, one with a bidi override shows other
words than it holds. What has such an effect is shown as its escape (`\x1b[2J`): visible, harmless, and still there.
"""

from __future__ import annotations

import re
from typing import IO, Any, Final

_BREAKS: Final = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+[ \t]*")
_ACTIVE: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1: escapes, backspace, carriage return, CSI, OSC
    r"\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi, invisible, other line ends
    r"\ud800-\udfff\U000e0000-\U000e0fff"
)
_IN_LINES: Final = re.compile(f"[{_ACTIVE}]")
_COLOUR: Final = re.compile(rf"(\x1b\[[0-9;]*m)|[{_ACTIVE}]")


def plain_line(text: str) -> str:
    """`text` on one line, with nothing in it that acts on a terminal or a page."""
    if text.isprintable():
        return text
    if each := getattr(text, "each", None):  # a message: in both its languages
        message: str = each(plain_line)
        return message
    return plain_lines(_BREAKS.sub(" ", text)).replace("\t", " ")


def plain_lines(text: str) -> str:
    """`text` with its line feeds and tabs, and nothing else that acts on a terminal or a page."""
    if text.isprintable():
        return text
    if each := getattr(text, "each", None):
        message: str = each(plain_lines)
        return message
    return _IN_LINES.sub(_escape, text.replace("\r\n", "\n"))


def plain_output(text: str) -> str:
    """`text` for a terminal: as `plain_lines`, with colours, and a carriage return at its beginning or end."""
    if text.isprintable():
        return text
    inner = text.strip("\r")
    start = len(text) - len(text.lstrip("\r"))
    clean = _COLOUR.sub(lambda match: match[1] or _escape(match), inner.replace("\r\n", "\n"))
    return text[:start] + clean + text[start + len(inner) :]


def without_colours(text: str) -> str:
    """`text` of a program that was told to colour it though it is no terminal (`FORCE_COLOR`), as it would be else."""
    return _COLOUR.sub(lambda match: "" if match[1] else match[0], text)


class PlainStream:
    """A text stream that lets nothing through which acts on a terminal; all else is the wrapped stream's."""

    def __init__(self, stream: IO[str]) -> None:
        self.wrapped = stream

    def write(self, text: str) -> int:
        """Write `text` as `plain_output` has it."""
        self.wrapped.write(plain_output(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a proxy
        return getattr(self.wrapped, name)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"  # noqa: PLR2004 - one byte
