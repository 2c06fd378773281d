"""Server: one process for a project, on loopback unless TLS or an ingress is declared."""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn
from filelock import FileLock, Timeout

from opsverify.errors import TargetError
from opsverify.evidence.bundle import ENDING
from opsverify.language.message import say
from opsverify.probes.text import is_loopback_host
from opsverify.serve.app import app_of
from opsverify.serve.event_sender import EventSender
from opsverify.serve.gate import APPROVE_WITHIN_S, PipelineGate
from opsverify.serve.run_queue import QueueSettings, RunQueue
from opsverify.serve.store import RunStore
from opsverify.serve.tokens import Tokens

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

LOG: Final = logging.getLogger("opsverify.serve")


@dataclass(frozen=True)
class Listener:
    """Where the server listens, and how what it says is protected."""

    host: str = "127.0.0.1"
    port: int = 8470
    certificate: Path | None = None
    key: Path | None = None
    plain_http: bool = False

    def check(self) -> None:
        """Raise TargetError for tokens that would cross a network in the clear, and for files that are not there."""
        if (self.certificate is None) != (self.key is None):
            raise TargetError(say("serve: --certificate and --key belong together"))
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise TargetError(say("serve: {path}: no such file", path=path))
        if self.certificate is None and not self.plain_http and not is_loopback_host(self.host):
            raise TargetError(
                say(
                    "serve: {host} is not loopback: tokens would be sent in the clear; give --certificate and --key, "
                    "or --plain-http behind an ingress that ends TLS",
                    host=self.host,
                )
            )


@contextmanager
def opened(
    settings: QueueSettings,
    tokens: Path,
    most_waiting: int = 20,
    max_age_s: float = 1800.0,
    approve_within_s: float = APPROVE_WITHIN_S,
) -> Iterator[PipelineGate]:
    """The gate of a project; what an earlier server left under way is a hold from here on.

    Raises TargetError where another server serves the project, the token file cannot be used, two targets have one
    name, or a process of an earlier server goes on.
    """
    known = Tokens(tokens)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(settings.state / "server.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TargetError(
            say("serve: another server serves this project ({path})", path=settings.state / "server.lock")
        ) from error
    for left in settings.state.glob(f"*{ENDING}*"):  # a download that a killed server was sending
        left.unlink(missing_ok=True)
    store = RunStore(settings.state / "runs.sqlite")
    events = EventSender(store, known.receiver)
    queue = RunQueue(store, settings, events)
    try:
        queue.names.require_one_file_each()
        queue.recover()
        queue.kick()
        events.start()
        yield PipelineGate(store, queue, known, settings, most_waiting, max_age_s, approve_within_s)
    finally:
        queue.stop()
        events.stop()
        store.close()
        lock.release()


class _Server(uvicorn.Server):
    """A server that logs where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        scheme = "https" if self.config.is_ssl else "http"
        for each in (each for server in self.servers for each in server.sockets):
            LOG.info("listening on %s://%s:%s", scheme, *each.getsockname()[:2])


def server_of(gate: PipelineGate, listener: Listener) -> uvicorn.Server:
    """The HTTP server of `gate`. It logs no address: Flagger's holds a token."""
    logging.getLogger("uvicorn.access").disabled = True  # `access_log` alone gives way to a handler of others
    return _Server(
        uvicorn.Config(
            app_of(gate), host=listener.host, port=listener.port, access_log=False, log_config=None,
            ssl_certfile=listener.certificate, ssl_keyfile=listener.key, server_header=False, lifespan="off",
            timeout_graceful_shutdown=5,
        )
    )  # fmt: skip


def serve(gate: PipelineGate, listener: Listener) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    server = server_of(gate, listener)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises again what ended it: runs are ended before that
        signal.signal(number, lambda *_: None)
    server.run()
    return 0 if server.started else 4
