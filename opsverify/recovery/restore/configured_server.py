"""Configured server: the copied backup made ready to recover to its target, cut off from everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opsverify.recovery.backup import base_backup, tablespaces
from opsverify.recovery.restore.configuration import MAIN, Configuration
from opsverify.recovery.restore.overrides import SET_BY_RESTORE, overrides
from opsverify.recovery.restore.restored_server import write_files
from opsverify.recovery.restore.settings import FILES, FOREIGN, drill_settings, primary_minimums

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.postgres.tools import Account, Tools
    from opsverify.recovery.restore.restored_server import Destination


@dataclass(frozen=True)
class ConfiguredServer:
    """A server, not started, and the lines of its configuration that were taken out."""

    server: Server
    overridden: tuple[str, ...]


def configure(
    destination: Destination,
    archive: Path,
    tools: Tools,
    account: Account | None,
    *,
    target_time: dt.datetime | None,
    timeline: int,
    skip_missing_includes: bool,
) -> ConfiguredServer:
    """Configure recovery from `archive` to `target_time` on `timeline`, or without it to the end of the backup.

    Raises Inconclusive for a link or an include that leads out of the drill's folder.
    """
    data_dir = destination.data_dir
    for name in FOREIGN:
        (data_dir / name).unlink(missing_ok=True)
    tablespaces.require_links_inside(data_dir)
    write_files(data_dir, FILES, account)
    settings = drill_settings(
        archive=archive,
        data_dir=data_dir,
        socket_dir=destination.socket_dir,
        port=destination.port,
        target_time=target_time,
        timeline=timeline,
    )
    if not (data_dir / MAIN).exists():
        write_files(data_dir, {MAIN: ""}, account)
        settings |= primary_minimums(base_backup.control_data(data_dir, tools))
    names = {*overrides(tools.major), *SET_BY_RESTORE, *settings, *destination.settings}
    taken_out = Configuration(data_dir, names).clean(skip_missing=skip_missing_includes)
    return ConfiguredServer(destination.server(tools, account, settings), taken_out)
