"""Text in TOML, read from a file that a person wrote."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from pathlib import Path


def read_toml(path: Path, shown: str | None = None) -> dict[str, Any]:
    """The content of a file; `shown` is its name in messages. Raises TargetError for one that cannot be read."""
    name = shown or path
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise TargetError(
            say("{path}: not UTF-8 text (byte {start}); save it as UTF-8", path=name, start=error.start + 1)
        ) from error
    except OSError as error:
        raise TargetError(say("{path}: cannot be read: {error}", path=name, error=error.strerror)) from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(say("{path}: not valid TOML: {error}", path=name, error=error)) from error
