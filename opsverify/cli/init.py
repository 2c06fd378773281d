"""`opsverify init`: a project folder of one's own, with a target, own checks, own runbook lines and a CI example."""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from opsverify.core.exit_codes import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_RENAMED: Final = {"gitignore": ".gitignore"}
"""Names under which a package cannot carry a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the new folder; its name is the platform's")


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Make the folder; 4 where it holds files already, or its name is no target's name. Nothing is overwritten."""
    folder: Path = options.folder.resolve()
    name = folder.name
    if not _NAME.fullmatch(name):
        return _refuse(f"{name!r} is no name of a target: expected lower-case letters, digits and hyphens")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _refuse(f"{folder} is not empty: give a new folder")
    try:
        for path, text in _files(resources.files("opsverify") / "starter", Path()):
            target = folder / path.with_name(_RENAMED.get(path.name, path.name))
            if path.parts[0] == "targets":
                target = target.with_name(f"{name}.toml")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(text).substitute(name=name), encoding="utf-8")
        (folder / "smoke").mkdir(exist_ok=True)
        (folder / "reports").mkdir(exist_ok=True)
    except OSError as error:
        return _refuse(f"{error.filename}: cannot be written: {error.strerror}")
    sys.stdout.write(f"{folder}\nnext: correct targets/{name}.toml, then: opsverify doctor --target {name}\n")
    return ExitCode.PASSED


def _files(folder: Traversable, below: Path) -> Iterator[tuple[Path, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        path = below / entry.name
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, path)
        else:
            yield path, entry.read_text(encoding="utf-8")


def _refuse(message: str) -> int:
    sys.stderr.write(f"opsverify: {message}\n")
    return ExitCode.USAGE
