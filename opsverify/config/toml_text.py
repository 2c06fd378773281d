"""Text in TOML, read from a file that a person wrote."""

from __future__ import annotations

import functools
import tomllib
from typing import TYPE_CHECKING, Any, Final

from opsverify.errors import TargetError
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DEEPEST: Final = 64
"""So deep may tables lie within each other: more than any file needs, and less than what reads them can take."""


def read_toml(path: Path, shown: str | None = None) -> dict[str, Any]:
    """The content of a file; `shown` is its name in messages. Raises TargetError for one that cannot be read."""
    name = shown or path
    try:  # with the mark at its beginning by which editors on Windows know UTF-8, or without
        return {key: _copied(value) for key, value in parsed(path.read_text(encoding="utf-8-sig")).items()}
    except UnicodeDecodeError as error:
        raise TargetError(
            say("{path}: not UTF-8 text (byte {start}); save it as UTF-8", path=name, start=error.start + 1)
        ) from error
    except OSError as error:
        raise TargetError(say("{path}: cannot be read: {error}", path=name, error=error.strerror)) from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(say("{path}: not valid TOML: {error}", path=name, error=error)) from error
    except ValueError as error:
        raise TargetError(
            say("{path}: holds a number or date that cannot be: {error}", path=name, error=error)
        ) from error
    except RecursionError as error:
        raise TargetError(say("{path}: tables or arrays within each other too deep to be read", path=name)) from error


@functools.lru_cache(maxsize=1)
def parsed(text: str) -> Mapping[str, Any]:
    """What a text in TOML says: a target is read several times in one process, and a long one costs 25 ms.

    Raises tomllib.TOMLDecodeError.
    """
    return tomllib.loads(text)


def _copied(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any TOML value
    """Tables and arrays of one's own: whoever reads a file may change them."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {key: _copied(item, depth + 1) for key, item in value.items()}
    return [_copied(item, depth + 1) for item in value] if isinstance(value, list) else value
