"""Project folder with targets and own suites, built-in suites, cache folder, and the target of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from opsverify.errors import TargetError
from opsverify.language.message import say

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_PACKAGED: Final = _PACKAGE / "suites"
SUITE_FOLDERS: Final = ("checks", "smoke", "dr_validation")
OWN_SUITE_FOLDERS: Final = ("checks", "smoke")
"""Folders of a project of one's own that hold checks; its SQL validations are named by its targets."""
OWN_RUNBOOK: Final = "runbook.toml"


def _has_suites(folder: Path) -> bool:
    return (folder / "checks").is_dir() and (folder / "dr_validation").is_dir()


SUITES_ROOT: Final = _PACKAGED if _has_suites(_PACKAGED) else _PACKAGE.parent
"""The folder with the built-in suites: in an installed package its data, else the checkout."""


def is_own_project(folder: Path) -> bool:
    """Whether `folder` is a project that `opsverify init` made: targets and a runbook of its own."""
    return (folder / "targets").is_dir() and (folder / OWN_RUNBOOK).is_file()


def project_root(target: str | None = None) -> Path:
    """The project: the one whose `targets/` holds the file `target`, or that of the working directory.

    That is the working directory or one above it; else the checkout; else (installed) the working directory.
    Raises TargetError where the working directory was removed, or may not be entered.
    """
    given = Path(target) if target else None
    if given and given.suffix == ".toml" and is_own_project(project := given.resolve().parent.parent):
        return project
    try:
        here = Path.cwd()
    except OSError as error:
        raise TargetError(
            say("the current folder cannot be entered ({error}); change into another one", error=error.strerror)
        ) from error
    for folder in (here, *here.parents):
        if is_own_project(folder) or _has_suites(folder):
            return folder
    return here if SUITES_ROOT == _PACKAGED else SUITES_ROOT


def suites_home(root: Path) -> Path:
    """The folder with the built-in suites for the project `root`: a checkout has its own."""
    return root if _has_suites(root) else SUITES_ROOT


def suite_folders(root: Path) -> tuple[Path, ...]:
    """The folders to collect checks from: the built-in suites, then those of a project of one's own."""
    home = suites_home(root)
    own = OWN_SUITE_FOLDERS if home != root else ()
    return (*(home / name for name in SUITE_FOLDERS), *(root / name for name in own if (root / name).is_dir()))


def target_argument(name_or_file: str) -> str:
    """The target as given, a file by its absolute path: pytest runs in the project folder."""
    path = Path(name_or_file)
    return str(path.resolve()) if path.suffix == ".toml" else name_or_file


def cache_folder() -> Path:
    """The folder for what was fetched or unpacked once: `$XDG_CACHE_HOME/opsverify`, else `~/.cache/opsverify`."""
    return user_cache_path("opsverify", appauthor=False)
