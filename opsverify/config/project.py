"""Project folder with the suites, cache folder of opsverify, and the target named on the command line."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that this package lies in, with the suites beside it."""


def project_root() -> Path:
    """The folder with the suites: the working directory or one above it, else this package's checkout."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "checks").is_dir() and (folder / "dr_validation").is_dir():
            return folder
    return CHECKOUT


def target_argument(name_or_file: str) -> str:
    """The target as given, a file by its absolute path: what comes later may run in another folder."""
    path = Path(name_or_file)
    return str(path.resolve()) if path.suffix == ".toml" else name_or_file


def cache_folder() -> Path:
    """The folder for what was fetched or unpacked once: `$XDG_CACHE_HOME/opsverify`, else `~/.cache/opsverify`."""
    return user_cache_path("opsverify", appauthor=False)
