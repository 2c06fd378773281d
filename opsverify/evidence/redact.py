"""Redaction of secrets by value, in every sink: terminal, messages, Allure results, attachments, files."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from opsverify.config.secrets import SHORTEST
from opsverify.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK: Final = "[redacted]"
_ESCAPED = re.compile("%[0-9A-F]{2}")


class Redactor:
    """Every loaded secret in each of its spellings: plain, repr, HTML, URL, JSON, base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {form for secret in secrets for form in _spellings(secret) if len(form) >= SHORTEST}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        # Nearly every text holds no secret: a search for each spelling is then faster than the pattern.
        self._spellings = tuple(longest_first)
        self._bytes = tuple(form.encode("utf-8", "surrogateescape") for form in longest_first)
        self._in_json = tuple({json.dumps(form, ensure_ascii=False)[1:-1] for form in longest_first})

    def text(self, text: str) -> str:
        """`text` without secrets, a message in both its languages."""
        if isinstance(text, Message):
            return text.each(self.text)
        if self._pattern and any(form in text for form in self._spellings):
            return self._pattern.sub(MASK, text)
        return text

    def data(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """A JSON value without secrets in its strings and keys; the value itself if it holds none."""
        # A string that holds a spelling holds it in its JSON form too, escaped character by character.
        written = json.dumps(value, ensure_ascii=False, default=str)
        return self._walk(value) if any(form in written for form in self._in_json) else value

    def json(self, value: Any) -> str:  # noqa: ANN401 - any JSON value
        """A JSON value as text without secrets."""
        text = json.dumps(value, ensure_ascii=False)
        if any(form in text for form in self._in_json):
            return json.dumps(self._walk(value), ensure_ascii=False)
        return text

    def _walk(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._walk(key): self._walk(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._walk(item) for item in value]
        return value

    def sweep(self, folder: Path) -> tuple[Path, ...]:
        """Clean every file below `folder` in place; the files that held a secret.

        For files that other plugins wrote on their own.
        """
        found = []
        for place, _, names in os.walk(folder) if self._pattern else ():
            for path in (os.path.join(place, name) for name in names):  # noqa: PTH118 - thousands of them
                if stat.S_ISREG(os.lstat(path).st_mode) and self._clean(path):
                    found += [Path(path)]
        return tuple(sorted(found))

    def _clean(self, path: str) -> bool:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            raw = file.readall()
        if not any(form in raw for form in self._bytes):
            return False
        clean = self.text(raw.decode("utf-8", "surrogateescape"))
        Path(path).write_bytes(clean.encode("utf-8", "surrogateescape"))
        return True


class RedactedStream:
    """A text stream that lets no secret through; everything but writing is the wrapped stream's."""

    def __init__(self, stream: IO[str], redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        """Write `text` without secrets."""
        return self._stream.write(self._redactor.text(text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a proxy
        return getattr(self._stream, name)


def _spellings(secret: str) -> Iterable[str]:
    for plain in (secret, repr(secret)[1:-1], repr(secret.encode())[2:-1], escape(secret)):
        yield plain
        for ascii_only in (True, False):
            once = json.dumps(plain, ensure_ascii=ascii_only)[1:-1]
            yield once
            yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]  # JSON as text in JSON
    for in_url in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield in_url
        yield _ESCAPED.sub(lambda match: match[0].lower(), in_url)
    yield from _base64(secret.encode())
    for line in secret.splitlines():  # a PEM key is recognised by any of its lines
        if not line.startswith("-----") and len(line) >= 2 * SHORTEST:
            yield line


def _base64(secret: bytes) -> Iterable[str]:
    """What base64 makes of the secret within a longer text (`user:secret`), at any of three offsets."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret).rstrip(b"=").decode()
        whole_bits = (offset + len(secret)) * 8 // 6  # the last character may carry bits of what follows
        inner = encoded[-(-offset * 8 // 6) : whole_bits]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
