"""Redaction of secrets by value, in every sink: terminal, messages, Allure results, attachments, files."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from opsverify.config.secrets import SHORTEST
from opsverify.evidence.decoding import Stretch, View, in_disguise, merged, run_pattern, unescaped, views
from opsverify.evidence.files import walk
from opsverify.language.message import Message
from opsverify.language.plain import plain_lines, plain_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_METRIC: Final = "__name__="
MASK: Final = "[redacted]"
_URL_SAFE: Final = str.maketrans("+/", "-_")
PART: Final = 16
"""Characters of a secret that are as good as the whole: a longer one is found by any part of this length."""
_RECURRING: Final = 1024
"""Characters up to which a text is remembered as it is without secrets."""
_REMEMBERED: Final = 1 << 15
"""Texts that are remembered: a check has some twenty of its own, and all that it shares with others recur at once."""


class Swept(NamedTuple):
    """What a sweep found: the files that held a secret, and the SHA-256 sum of every file by its path in the folder.

    A redactor without secrets reads no file, and has no sums.
    """

    cleaned: tuple[Path, ...]
    sums: dict[str, str]


class Redactor:
    """Every loaded secret and every part of one, plain and in whatever encodings are known (`decoding`)."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = tuple({form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST})
        self._least = min((PART, *map(len, self._needles)))
        # Each of these stretches of a needle, with where it stands there. A text that is looked at every `_stride`
        # characters shows one of them, if it holds a whole needle or a part of it.
        self._known: dict[str, list[tuple[str, int]]] = {}
        self._stride = self._least - SHORTEST + 1
        for needle in self._needles:
            for place in range(len(needle) - SHORTEST + 1):
                self._known.setdefault(needle[place : place + SHORTEST], []).append((needle, place))
        self._stretches = frozenset(self._known)
        self._runs = run_pattern(self._least)
        self._disguised = in_disguise(self._runs)
        self._searched: set[str] = set()
        # A title stands in plan, result and verdict.
        self._searched_once = functools.lru_cache(_REMEMBERED)(self._search)

    def text(self, text: str) -> str:
        """`text` without secrets, a message in both its languages; itself where it holds none."""
        if isinstance(text, Message):
            return text.each(self.text)
        if len(text) < self._least:
            return text  # no reading of it is longer
        if len(text) > _RECURRING:
            return self._search(text)
        found = self._searched_once(text)
        return text if found == text else found

    def _search(self, text: str) -> str:
        clean = self._masked(text)
        return clean if clean is text else self._masked(clean)  # what was masked may have stood within another one

    def _masked(self, text: str) -> str:
        spans = self._spans(text)
        if not spans:
            return text
        pieces, done = [], 0
        for span in merged(spans):
            pieces += [text[done : span.start], MASK]
            done = span.end
        return "".join([*pieces, text[done:]])

    def data(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """A JSON value without secrets in its strings, numbers and keys."""
        return self._walk(value) if self._needles else value

    def lines(self, text: str) -> bytes:
        """`text` without secrets and without what acts on a page, as a file holds it."""
        plain = plain_lines(self.text(text))
        if plain == text:
            return self.noted(_octets(text))
        clean = self.text(plain)  # what was taken out may have stood within a secret
        return self.noted(_octets(plain)) if clean == plain else _octets(clean)

    def noted(self, content: bytes) -> bytes:
        """Content all of whose texts were searched, and hold no secret: a sweep need not search it again."""
        self._searched.add(hashlib.sha256(content).hexdigest())
        return content

    def _walk(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if type(value) is str and len(value) < self._least:  # most of a verdict: keys and words
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            walk = self._walk
            return {walk(key): walk(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._walk(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self._spans(str(value)):
            return MASK
        return value

    def sweep(self, folder: Path) -> Swept:
        """Clean every file below `folder` in place: files that other plugins wrote on their own may hold a secret.

        A name that holds one, of a file or a folder, is changed too: the manifest lists it.
        """
        cleaned, sums = [], {}
        top = str(folder)
        for place, folders, names in walk(top) if self._needles else ():
            within = place[len(top) + 1 :]
            # One search for the names of a folder: thousands of them, and hardly ever one with a secret.
            listing = "\t".join(f"{within}/{name}" for name in (*folders, *names))
            if self.text(listing) != listing:
                folders[:] = [self._renamed(place, within, name) for name in folders]
                names[:] = [self._renamed(place, within, name) for name in names]
            for name in names:
                path = f"{place}/{name}"
                if stat.S_ISREG(os.lstat(path).st_mode):
                    changed, measured = self._clean(path)
                    sums[f"{within}/{name}" if within else name] = measured
                    cleaned += [Path(path)] * changed
        return Swept(tuple(sorted(cleaned)), sums)

    def _renamed(self, place: str, within: str, name: str) -> str:
        """The name of what is in the folder `place`, without a secret."""
        path = f"{within}/{name}"
        if self.text(path) == path:
            return name
        clean = self.text(name)
        base = free = MASK if clean == name else clean  # clean itself: it begins in the folder's name
        number = 1
        while os.path.lexists(f"{place}/{free}"):
            number += 1
            free = f"{base}-{number}"
        os.rename(f"{place}/{name}", f"{place}/{free}")  # noqa: PTH104 - as the walk
        return free

    def _clean(self, path: str) -> tuple[bool, str]:
        """Whether the file held a secret, and its sum without one."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - thousands of them
            content = file.readall()
        measured = hashlib.sha256(content).hexdigest()
        if measured in self._searched:
            return False, measured
        raw = content.decode("latin-1")
        clean = self.text(raw)
        if clean == raw:
            return False, measured
        content = clean.encode("latin-1")
        Path(path).write_bytes(content)
        return True, hashlib.sha256(content).hexdigest()

    def _spans(self, text: str) -> list[Stretch]:
        """Where secrets stand in `text`, in any encoding."""
        if not self._needles or len(text) < self._least:
            return []
        if not self._disguised.search(text):
            return list(self._found(text))
        if not (found := self._spans_in(views(text, self._runs))):
            return []
        return found + self._spans_in(views(text, self._runs, all_runs=True))

    def _spans_in(self, readings: Iterable[View]) -> list[Stretch]:
        return [view.origin(span) for view in readings for span in self._found(view.text)]

    def _found(self, text: str) -> Iterator[Stretch]:
        """Where needles, or parts of them, stand in `text` as it is."""
        places = range(0, len(text) - SHORTEST + 1, self._stride)
        shown = [text[place : place + SHORTEST] for place in places]
        if self._stretches.isdisjoint(shown):
            return
        for place, stretch in zip(places, shown, strict=True):
            for needle, at in self._known.get(stretch, ()):
                span = _extended(text, place, needle, at)
                if span.end - span.start >= min(len(needle), PART):
                    yield span


class Recurring(dict[str, str]):
    """Texts without secrets that come again and again, such as the names of series: each is redacted once."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def __missing__(self, text: str) -> str:
        """Redact a text that is new."""
        found = self._redactor.text(text)
        self[text] = text if found == text else found
        return found

    def text(self, text: str) -> str:
        """`text` without secrets; of a series, its metric apart from its labels, which many metrics share."""
        name, comma, labels = text.partition(",")
        if not comma or not name.startswith(_METRIC):
            return self[text]
        metric, others = self[name], self[labels]
        return text if metric == name and others == labels else f"{metric},{others}"


class RedactedStream:
    """A text stream that lets no secret and no control sequence through; all else is the wrapped stream's.

    Colours pass, and a carriage return that begins or ends a write: a live line is written anew.
    """

    def __init__(self, stream: IO[str], redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        """Write `text` without secrets and control sequences."""
        self._stream.write(plain_output(self._redactor.text(text)))
        return len(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a proxy
        return getattr(self._stream, name)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _extended(text: str, place: int, needle: str, at: int) -> Stretch:
    """The longest stretch around `place` of `text` that is also one of `needle` around `at`."""
    start, end = place, place + SHORTEST
    first, last = at, at + SHORTEST
    while start and first and text[start - 1] == needle[first - 1]:
        start, first = start - 1, first - 1
    while end < len(text) and last < len(needle) and text[end] == needle[last]:
        end, last = end + 1, last + 1
    return Stretch(start, end)


def _forms(secret: str) -> Iterator[str]:
    """What a view may show of a secret: its lines, with their escapes undone or not, and packed by alignment."""
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]  # the frame of a PEM key is public
    several = len(lines) > 1 or len(lines) < len(secret.splitlines())
    wanted = [line for line in lines if len(line) >= 2 * SHORTEST] if several else [secret]
    for line in {*wanted, "".join(lines)}:
        for form in (line, line.replace(" ", "+"), unescaped(line), unescaped(_characters(line.encode()))):
            yield form
            yield _characters(form.encode("utf-8", "surrogatepass"))
    for text in {"".join(lines) if several else secret, *wanted}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            octets = text.encode(encoding, "surrogatepass")
            yield _characters(octets)
            if len(text) >= SHORTEST:
                yield from _packed(octets)


def _packed(octets: bytes) -> Iterator[str]:
    """What hex, base32 and base64 make of a secret within longer text, at each offset."""
    yield octets.hex()
    yield octets.hex().upper()
    for pack, whole, letters in ((base64.b64encode, 3, 4), (base64.b32encode, 5, 8)):
        for offset in range(whole):
            packed = pack(bytes(offset) + octets).decode().rstrip("=")
            # The first and the last letter may carry bits of what stands around.
            inner = packed[-(-offset * letters // whole) : (offset + len(octets)) * letters // whole]
            yield inner
            yield inner.translate(_URL_SAFE) if whole == 3 else inner.lower()  # noqa: PLR2004 - base64's group


def _characters(octets: bytes) -> str:
    """Bytes, each as the character of its number: what a decoder of bytes gives."""
    return octets.decode("latin-1")
