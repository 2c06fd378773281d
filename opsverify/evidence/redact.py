"""Remove secrets by value, wherever they turn up: terminal, messages, Allure results, attachments, files."""

from __future__ import annotations

import base64
import json
import re
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from opsverify.target.secrets import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MASK: Final = "[redacted]"


class Redactor:
    """Knows every loaded secret in each spelling it may take on the way: plain, URL, JSON, base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {form for secret in secrets for form in _spellings(secret) if len(form) >= SHORTEST}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """`text` without secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def data(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """A JSON value without secrets in its strings and keys."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        return value

    def sweep(self, folder: Path) -> tuple[Path, ...]:
        """Clean every file below `folder` in place; the files that held a secret.

        The last line of defence, for what other plugins wrote on their own.
        """
        found = []
        for path in sorted(folder.rglob("*")) if self._pattern else ():
            if path.is_file() and not path.is_symlink():
                raw = path.read_bytes().decode("utf-8", "surrogateescape")
                clean = self.text(raw)
                if clean != raw:
                    path.write_bytes(clean.encode("utf-8", "surrogateescape"))
                    found.append(path)
        return tuple(found)


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
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    for line in secret.splitlines():  # a PEM key is recognised by any of its lines
        if not line.startswith("-----") and len(line) >= 2 * SHORTEST:
            yield line
