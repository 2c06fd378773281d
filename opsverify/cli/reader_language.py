"""Language of a command's help and errors: `--language`, else the target's, else that of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.config.project import project_root
from opsverify.config.toml_text import parsed
from opsverify.errors import TargetError
from opsverify.language.environment import environment_language
from opsverify.language.message import LANGUAGES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_OF_TARGETS: Final = "ko"
"""The language of a target that names none."""
_OPTIONS: Final = ("--language", "--lang")


def reader_language(options: argparse.Namespace) -> str:
    """`ko` or `en`; the environment's where there is no target, or none that can be read: it may be what is wrong."""
    return _language(getattr(options, "language", None), getattr(options, "target", None))


def language_of(arguments: Sequence[str]) -> str:
    """The same for a command line that was not parsed yet, or cannot be."""
    given = next((value for flag in _OPTIONS if (value := _value(arguments, flag))), None)
    return _language(given, _value(arguments, "--target"))


def _language(given: object, target: object) -> str:
    if given in LANGUAGES:
        return str(given)
    if not isinstance(target, str):
        return environment_language()
    path = Path(target)
    try:
        if path.suffix != ".toml":
            path = project_root() / "targets" / f"{target}.toml"
        language = parsed(path.read_text(encoding="utf-8")).get("language", _OF_TARGETS)
    except (OSError, ValueError, TargetError):
        return environment_language()
    return language if language in LANGUAGES else environment_language()


def _value(arguments: Sequence[str], flag: str) -> str | None:
    """What is given for an option: `--flag VALUE` or `--flag=VALUE`."""
    for position, argument in enumerate(arguments):
        if argument == flag:
            return next(iter(arguments[position + 1 :]), None)
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return None
