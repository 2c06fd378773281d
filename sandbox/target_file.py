"""Target file of one home: a copy of targets/sandbox.toml with its ports and secrets."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from typing import TYPE_CHECKING

from opsverify.language.message import say
from sandbox.home import DEFAULT_PORT_BASE, REPOSITORY, SERVICES, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.home import Settings

NAME = "target.toml"
_TEMPLATE = REPOSITORY / "targets" / "sandbox.toml"
_TEMPLATE_HOME = '"../.sandbox/'
_TEMPLATE_FOLDER = 'folder = ".."'
_TEMPLATE_COMMAND = re.compile(r'"\./run", "sandbox", (.*)\]')
_TEMPLATE_DAY = re.compile(r"(?<=at = )\d{4}-\d{2}-\d{2}")


def write(settings: Settings, progress: Callable[[str], None]) -> None:
    """Write the target file, unless the repository has no template of it."""
    try:
        template = _TEMPLATE.read_text(encoding="utf-8")
    except FileNotFoundError:
        progress(say("warning: no {name} written, because {template} is missing", name=NAME, template=_TEMPLATE))
        return
    write_atomic(settings.home / NAME, filled(template, settings), mode=0o644)


def filled(template: str, settings: Settings) -> str:
    """`template` with every port of the default base, every path and command made those of this home."""
    ports = {str(DEFAULT_PORT_BASE + offset): settings.ports[name] for offset, name in enumerate(SERVICES)}
    pattern = rf"\b({'|'.join(ports)})\b"
    text = re.sub(pattern, lambda match: str(ports[match.group()]), template)
    home, python, folder = (
        json.dumps(str(path), ensure_ascii=False) for path in (settings.home, sys.executable, REPOSITORY)
    )
    text = text.replace(_TEMPLATE_FOLDER, f"folder = {folder}").replace(_TEMPLATE_HOME, f"{home[:-1]}/")

    def command(match: re.Match[str]) -> str:
        own_home = '"--home"' in match[1]
        return f'{python}, "-m", "sandbox", {match[1]}' + ("]" if own_home else f', "--home", {home}]')

    return _TEMPLATE_COMMAND.sub(command, _TEMPLATE_DAY.sub(lambda _: secrets_made(settings), text))


def secrets_made(settings: Settings) -> str:
    """The day on which the secrets of a home were made."""
    folder = settings.home / "secrets"
    made = (folder if folder.exists() else settings.home).stat().st_mtime
    return dt.datetime.fromtimestamp(made, dt.UTC).date().isoformat()
