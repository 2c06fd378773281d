"""Fingerprint of a secret: an HMAC by a key that lies beside the history; the history never holds a secret.

Without that file not even a guess at a secret can be verified. Where the file is lost, a new one is made, and earlier
fingerprints are no longer comparable (`FingerprintKey.id` is part of their origin).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.errors import EvidenceError
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path

_BYTES: Final = 32
_SHOWN: Final = 32
_LOCK_S: Final = 30.0


@dataclass(frozen=True, repr=False)
class FingerprintKey:
    """The key of a history."""

    key: bytes

    @classmethod
    def beside(cls, store: Path) -> FingerprintKey:
        """The key beside a history, made where there is none. Raises EvidenceError where it cannot be used."""
        path = store.with_suffix(".key")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".key.lock"), timeout=_LOCK_S):
                if not path.exists():
                    _write(path)
                if stat.S_IMODE(path.stat().st_mode) & 0o077:
                    raise EvidenceError(
                        say("{path}: others may read it, expected rights 0600; remove it, ages begin anew", path=path)
                    )
                key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise EvidenceError(
                say("{path}: cannot be used ({error}); remove it, ages begin anew", path=path, error=error)
            ) from error
        if len(key) != _BYTES:
            raise EvidenceError(
                say(
                    "{path}: expected {count} bytes in hexadecimal; remove it, ages begin anew", path=path, count=_BYTES
                )
            )
        return cls(key)

    @property
    def id(self) -> str:
        """Which key it is; it tells nothing about it."""
        return self.of("the key itself")

    def of(self, secret: str) -> str:
        """The fingerprint of a secret."""
        return hmac.new(self.key, secret.encode(), hashlib.sha256).hexdigest()[:_SHOWN]


def _write(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_BYTES))
        file.flush()
        os.fsync(file.fileno())
