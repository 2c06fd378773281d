"""Catalogue: the Korean template of every English one, in `ko/<package>.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources


def korean(template: str) -> str | None:
    """The Korean template of an English one; None where the catalogue has none."""
    return _all().get(template)


@cache
def _all() -> dict[str, str]:
    return {template: ko for entries in by_package().values() for template, ko in entries.items()}


def by_package() -> dict[str, dict[str, str]]:
    """The entries of each file, by its name without `.toml`."""
    files = sorted(resources.files("opsverify.language").joinpath("ko").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".toml")
    }
