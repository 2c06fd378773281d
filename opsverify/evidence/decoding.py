"""Decoding of text that may hold a secret in disguise, with the way back to where it stood.

`views` gives a text and all that it may be read as: escapes undone (percent, HTML, quoted-printable, backslash,
UTF-16's zero bytes), lines joined, runs of hex, base32 and base64 unpacked, each again and again. A reader of the
evidence can do no more, so what no view shows is not in the text.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import sys
from bisect import bisect_right
from html import unescape
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPTH: Final = 4
"""Encodings around one another that are undone."""

_OF_URLS_PAGES_AND_CODE: Final = (
    r"%[0-9A-Fa-f]{2}"
    r"|&(?:#\d{1,8}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z]{2,8});"
    r"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|U[0-9A-Fa-f]{8}|[nrtbf\"'/\\])"
    r"|\x00"
)
_ESCAPE: Final = re.compile(rf"{_OF_URLS_PAGES_AND_CODE}|=(?:[0-9A-Fa-f]{{2}}|\r?\n)")
_IN_A_QUERY: Final = re.compile(_OF_URLS_PAGES_AND_CODE)
"""As `_ESCAPE`, where `=` stands before a value: quoted-printable would take the first two letters of many away."""
_MAY_ESCAPE: Final = re.compile(r"[%&=\\\x00]")
_WRAP: Final = re.compile(r"[\r\n][ \t\r\n]*")
_BACKSLASH: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "/": "/", "\\": "\\"}
_URL_SAFE: Final = str.maketrans("-_", "+/")
_HEX_RUN: Final = re.compile(r"[0-9A-Fa-f]{18,}")
_BASE32_RUN: Final = re.compile(r"[A-Z2-7]{16,}|[a-z2-7]{16,}")
_NO_BYTES: Final = {2: (1,), 4: (1,), 8: (1, 3, 6)}
"""Letters in the last group of hex, base64 and base32 that no number of bytes gives."""
_PACKED_TEXT: Final = re.compile(
    # Two groups of base64 whose six bytes are text, that is below 128; nine bytes of text in hex; base32.
    r"(?:[CI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){2}"
    r"|(?:[2-7][0-9A-Fa-f]|0[9-Da-d]){9}"
    rf"|{_BASE32_RUN.pattern}"
)
"""What a run must show to be unpacked at all: most long words are no encoding of a text."""
_TEXT: Final = re.compile(r"[\x09-\x0d\x20-\x7e]{6,}")
"""What unpacked bytes must hold to be read further."""
_RECURRING: Final = 256
"""Letters up to which a run is remembered with what is in it."""


class Stretch(NamedTuple):
    """A stretch of a text."""

    start: int
    end: int


class View(NamedTuple):
    """What a text may be read as; `origin` says where a stretch of it stands in the text."""

    text: str
    origin: Callable[[Stretch], Stretch]


class _Packed(NamedTuple):
    """A text in a run: from its letter `start` on, `letters` of the run are `octets` of it."""

    text: str
    start: int
    letters: int
    octets: int


def run_pattern(shortest: int) -> re.Pattern[str]:
    """Runs of letters that may be `shortest` bytes in base64, base32 or hex."""
    return re.compile(rf"[A-Za-z0-9+/_-]{{{shortest * 4 // 3},}}")


def in_disguise(runs: re.Pattern[str]) -> re.Pattern[str]:
    """What a text shows that may be read otherwise; one without is its own and only view."""
    return re.compile(rf"[\r\n]|{_MAY_ESCAPE.pattern}|{runs.pattern}")


def views(text: str, runs: re.Pattern[str], *, all_runs: bool = False) -> Iterator[View]:
    """`text`, and every reading of it in which a secret may show; `runs` is from `run_pattern`.

    With `all_runs`, runs are unpacked also where they do not look like ASCII text, as few words do: for a text that
    is known to hold a secret, of which more may stand beside what was found.
    """
    return _views(View(text, _itself), runs, DEPTH, all_runs=all_runs)


def unescaped(text: str) -> str:
    """`text` with its escapes undone, until there are none."""
    for _ in range(DEPTH):
        plain = _ESCAPE.sub(_plain, text)
        if plain == text:
            break
        text = plain
    return text


def _views(view: View, runs: re.Pattern[str], depth: int, *, all_runs: bool) -> Iterator[View]:
    while True:
        yield view
        if "\n" in view.text or "\r" in view.text:
            joined = View(_WRAP.sub("", view.text), _then(view.origin, view.text, _WRAP, _nothing))
            yield from _views(joined, runs, depth, all_runs=all_runs)
        elif depth:
            for match in runs.finditer(view.text):
                for unpacked in _unpacked(view, match, all_runs=all_runs):
                    yield from _views(unpacked, runs, depth - 1, all_runs=all_runs)
        if not depth or not _MAY_ESCAPE.search(view.text):
            return
        plain = _ESCAPE.sub(_plain, view.text)
        if plain == view.text:
            return
        value = _IN_A_QUERY.sub(_plain, view.text)
        if value not in (plain, view.text):
            origin = _then(view.origin, view.text, _IN_A_QUERY, _plain)
            yield from _views(View(value, origin), runs, depth - 1, all_runs=all_runs)
        view = View(plain, _then(view.origin, view.text, _ESCAPE, _plain))
        depth -= 1


def _unpacked(view: View, match: re.Match[str], *, all_runs: bool) -> Iterator[View]:
    run, at = match[0], match.start()
    for packed in _packed_again(run) if len(run) <= _RECURRING and not all_runs else _packed(run, all_runs=all_runs):
        yield View(packed.text, _at_groups(view.origin, at + packed.start, packed.letters, packed.octets))


def _packed(run: str, *, all_runs: bool = False) -> Iterator[_Packed]:
    """Texts in a run, unpacked from each of its first letters on: what is inside may begin anywhere.

    Bytes that are no text hold no further encoding; a secret in base64, base32 or hex itself is found as it is.
    """
    if not (all_runs or _PACKED_TEXT.search(run)):
        return
    texts = [_grouped(part.start(), part[0], 2, 1, bytes.fromhex) for part in _HEX_RUN.finditer(run)]
    texts += [_grouped(part.start(), part[0].upper(), 8, 5, base64.b32decode) for part in _BASE32_RUN.finditer(run)]
    texts.append(_grouped(0, run.translate(_URL_SAFE), 4, 3, binascii.a2b_base64))
    for packed in chain.from_iterable(texts):
        if all_runs or _TEXT.search(packed.text):
            yield packed


@functools.lru_cache(maxsize=4096)
def _packed_again(run: str) -> tuple[_Packed, ...]:
    """As `_packed`, for runs that recur: names, identifiers, and whatever is looked at in several readings."""
    return tuple(_packed(run))


def _grouped(at: int, run: str, letters: int, octets: int, unpack: Callable[[str], bytes]) -> Iterator[_Packed]:
    for phase in range(letters):
        part = run[phase:]
        if len(part) % letters in _NO_BYTES[letters]:
            part = part[:-1]
        unpacked = unpack(part + "=" * (-len(part) % letters))
        yield _Packed(unpacked.decode("latin-1"), at + phase, letters, octets)


def _at_groups(outer: Callable[[Stretch], Stretch], at: int, letters: int, octets: int) -> Callable[[Stretch], Stretch]:
    return lambda span: outer(Stretch(at + span.start * letters // octets, at - (-span.end * letters // octets)))


def _plain(match: re.Match[str]) -> str:
    """What one escape stands for."""
    token = match[0]
    if token[:2] == "&#":
        hexadecimal = token[2] in "xX"
        return _character(int(token[3 if hexadecimal else 2 : -1], 16 if hexadecimal else 10))
    if token[0] == "&":
        return unescape(token)
    if token[0] == "\\":
        return _backslash(token[1:])
    return chr(int(token[1:], 16)) if token[1:].strip() else ""


def _backslash(name: str) -> str:
    if len(name) == 1:
        return _BACKSLASH[name]
    if len(name) > 9:  # noqa: PLR2004 - two halves, \uXXXX\uXXXX without the first backslash
        return (chr(int(name[1:5], 16)) + chr(int(name[7:], 16))).encode("utf-16", "surrogatepass").decode("utf-16")
    return _character(int(name[1:], 16))


def _character(number: int) -> str:
    return chr(number) if number <= sys.maxunicode else ""


def _nothing(_: re.Match[str]) -> str:
    return ""


def _itself(span: Stretch) -> Stretch:
    return span


def _then(
    outer: Callable[[Stretch], Stretch], text: str, pattern: re.Pattern[str], plain: Callable[[re.Match[str]], str]
) -> Callable[[Stretch], Stretch]:
    """The way back through a substitution, worked out only where something was found."""

    def origin(span: Stretch) -> Stretch:
        # Cut points: a literal stretch maps letter by letter, an escape as a whole.
        written, sources, literal = [0], [0], [True]
        at = 0
        for match in pattern.finditer(text):
            at += match.start() - sources[-1]
            written.append(at)
            sources.append(match.start())
            literal.append(False)
            at += len(plain(match))
            written.append(at)
            sources.append(match.end())
            literal.append(True)
        return outer(Stretch(_start(span.start, written, sources, literal), _end(span.end, written, sources, literal)))

    return origin


def _start(place: int, written: list[int], sources: list[int], literal: list[bool]) -> int:
    index = bisect_right(written, place) - 1
    return sources[index] + (place - written[index] if literal[index] else 0)


def _end(place: int, written: list[int], sources: list[int], literal: list[bool]) -> int:
    last = _start(place - 1, written, sources, literal)
    index = bisect_right(written, place - 1) - 1
    return last + 1 if literal[index] else sources[index + 1]


def merged(spans: list[Stretch]) -> list[Stretch]:
    """`spans` in order, those that touch as one."""
    joined: list[Stretch] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Stretch(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
