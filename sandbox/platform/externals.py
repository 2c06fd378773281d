"""External systems in one process: LLM, inbox and two nodes of an MCP server, each on its own port."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.home import load_settings
from sandbox.platform.faults import Faultless, Faults
from sandbox.platform.inbox import inbox_app
from sandbox.platform.llm_double import llm_app
from sandbox.platform.serving import log_to_stderr, serve_until

if TYPE_CHECKING:
    from sandbox.home import Settings

_POLL_SECONDS = 0.2


async def serve(settings: Settings) -> None:
    """Serve all of them until SIGTERM or SIGINT; the MCP port is closed while the fault `mcp_down` is on."""
    faults = Faults(settings.home)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve_until(stop, llm_app(faults), settings.ports["llm"]))
        group.create_task(serve_until(stop, inbox_app(faults), settings.ports["inbox"]))
        group.create_task(_serve_mcp(settings.ports["mcp"], faults, stop))
        group.create_task(_serve_alternate(settings.ports["mcp_alternate"], stop))


async def _serve_mcp(port: int, faults: Faults, stop: asyncio.Event) -> None:
    # The SDK takes longer to import than all the rest; the other two ports answer meanwhile.
    mcp_app = (await asyncio.to_thread(importlib.import_module, "sandbox.platform.mcp_server")).mcp_app
    while not stop.is_set():
        if not faults.on("mcp_down"):
            down = asyncio.Event()
            watch = asyncio.create_task(_watch(faults, stop, down))
            await serve_until(down, mcp_app(faults), port)
            watch.cancel()
        await asyncio.sleep(_POLL_SECONDS)


async def _serve_alternate(port: int, stop: asyncio.Event) -> None:
    """The alternate node, which no fault reaches."""
    mcp_app = (await asyncio.to_thread(importlib.import_module, "sandbox.platform.mcp_server")).mcp_app
    await serve_until(stop, mcp_app(Faultless()), port)


async def _watch(faults: Faults, stop: asyncio.Event, down: asyncio.Event) -> None:
    while not stop.is_set() and not faults.on("mcp_down"):  # noqa: ASYNC110  # the fault is a file's content
        await asyncio.sleep(_POLL_SECONDS)
    down.set()


def main() -> None:
    """Read the home and serve."""
    parser = argparse.ArgumentParser(prog="sandbox.platform.externals", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    log_to_stderr()
    asyncio.run(serve(load_settings(parser.parse_args().home)))


if __name__ == "__main__":
    main()
