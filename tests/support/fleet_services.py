"""Services of a fleet's targets: one real HTTP server, one path for each plant, which may end the run that asks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class PlantServer:
    """The server: what happens when a plant is asked, by its name; a plant without an entry is healthy."""

    address: str
    when_asked: dict[str, Callable[[], object]] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    asked_from: dict[str, str] = field(default_factory=dict)
    """The address of the host that asked a plant last."""

    def target(self, folder: Path, name: str) -> Path:
        """Write the target of a plant."""
        folder.mkdir(parents=True, exist_ok=True)
        url = f"http://{self.address}/{name}"
        text = SMALLEST.replace('name = "t"', f'name = "{name}"').replace("http://127.0.0.1:9", url)
        # How busy this machine is makes no plant slow.
        (folder / f"{name}.toml").write_text(f'{text}latency = "< 60 s"\n', encoding="utf-8")
        return folder / f"{name}.toml"


@contextlib.contextmanager
def plant_server(listening: socket.socket | None = None) -> Iterator[PlantServer]:
    """The server, for as long as it is needed, on loopback or where `listening` does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("/")[1]
            plants.asked.append(name)
            plants.asked_from[name] = self.client_address[0]
            plants.when_asked.get(name, lambda: None)()
            self.send_response(503 if name in plants.sick else 200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            with contextlib.suppress(OSError):  # the run that asked has ended
                self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = listening or socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    server = ThreadingHTTPServer((host, port), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    plants = PlantServer(f"{host}:{port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield plants
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kill_run(folder: Path) -> None:
    """End the process of the run that writes to `folder`, as a kernel without memory does."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    os.kill(run["pid"], signal.SIGKILL)
