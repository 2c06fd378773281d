"""Hosts of a small network: namespaces of Linux, each with an address, a name and processes of its own.

A router joins them, a namespace too, so that nothing of this machine's own network is touched. What a host has not got
is a disk of its own: all see this machine's files, which stand for the company's shared folder. A namespace ends with
its first process, and that one with the process that made it, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import IO, TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROGRAMS: Final = ("ip", "unshare", "nsenter", "hostname")
_NEW: Final = ("unshare", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
_FIRST: Final = 'hostname "$0" && ip link set lo up && echo up && exec sh'
"""What the first process of a namespace does: read commands, and end when there can be no more."""
_LISTEN: Final = """
import socket, sys
listening = socket.create_server((sys.argv[1], 0))
socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"."], [listening.fileno()])
"""
_NETWORK: Final = "192.0.2"
"""Set apart for documentation (RFC 5737): no machine has it. Each host gets a /30 of it."""


@cache
def lacking() -> str | None:
    """Why this machine can have no such hosts; None where it can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {missing[0]} on this machine"
    tried = ["ip", "link", "add", "name", "one", "type", "veth", "peer", "name", "two"]
    done = subprocess.run([*_NEW, *tried], check=False, capture_output=True, text=True)
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else None


@dataclass(frozen=True)
class _Namespace:
    """One namespace: its first process as this machine numbers it, and where that reads commands and answers."""

    pid: int
    commands: IO[str]
    answers: IO[str]

    def run(self, *argv: str) -> None:
        """Run a command on its network, and wait for its end."""
        subprocess.run(["nsenter", f"--target={self.pid}", "--net", "--", *argv], check=True)


@dataclass(frozen=True)
class Host:
    """One host: its name, its address, and the router at the other end of its cable."""

    name: str
    address: str
    pid: int
    router: _Namespace

    def argv(self, argv: Sequence[str], folder: Path | None = None) -> list[str]:
        """The command that runs `argv` on this host, in `folder`."""
        inside = [f"--target={self.pid}", "--net", "--uts", "--ipc", "--pid", "--mount"]
        return ["nsenter", *inside, *([f"--wdns={folder}"] if folder else []), "--", *argv]

    def unplug(self) -> None:
        """Pull its cable out: nothing reaches it, nothing it sends arrives, and no connection is closed."""
        self.router.commands.write(f"ip link set {self.name} down && echo down\n")
        self.router.commands.flush()
        if self.router.answers.readline() != "down\n":
            raise RuntimeError(f"{self.name}: still plugged in")

    def turn_off(self) -> None:
        """End everything that runs on it at once, as a power failure does."""
        os.kill(self.pid, signal.SIGKILL)

    def listening(self) -> socket.socket:
        """A socket that listens on this host's address, for a server in the process of the test."""
        here, there = socket.socketpair()
        with here, there:
            argv = self.argv([sys.executable, "-c", _LISTEN, self.address, str(there.fileno())])
            subprocess.run(argv, check=True, pass_fds=[there.fileno()])
            _, descriptors, _, _ = socket.recv_fds(here, 1, 1)
        return socket.socket(fileno=descriptors[0])


@contextlib.contextmanager
def network_of(*names: str) -> Iterator[dict[str, Host]]:
    """Hosts of these names (15 letters at most), which reach each other; they go with everything that runs on them."""
    with contextlib.ExitStack() as opened:
        router = opened.enter_context(_namespace("router"))
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        hosts = {}
        for number, name in enumerate(names):
            gateway, address = (f"{_NETWORK}.{4 * number + last}" for last in (1, 2))
            host = opened.enter_context(_namespace(name))
            router.run(
                "ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid)
            )
            for namespace, device, own in ((router, name, gateway), (host, "eth0", address)):
                namespace.run("ip", "address", "add", f"{own}/30", "dev", device)
                namespace.run("ip", "link", "set", device, "up")
            host.run("ip", "route", "add", "default", "via", gateway)
            hosts[name] = Host(name, address, host.pid, router)
        yield hosts


@contextlib.contextmanager
def _namespace(name: str) -> Iterator[_Namespace]:
    """A new namespace."""
    with subprocess.Popen(
        [*_NEW, "sh", "-c", _FIRST, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        try:
            if process.stdin is None or process.stdout is None or process.stdout.readline() != "up\n":
                raise RuntimeError(f"{name}: no namespace")
            (first,) = psutil.Process(process.pid).children()
            yield _Namespace(first.pid, process.stdin, process.stdout)
        finally:
            process.kill()  # and with it, by --kill-child, the first process, and by the kernel all others
