"""Address of a scheduler: TLS with certificates, or loopback; whoever reaches one runs anything on its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.probes.text import is_loopback_host

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SchedulerAddress:
    """A scheduler of Dask, and the files by which both sides know each other (PEM)."""

    address: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raise TargetError where what is sent could be read or sent by others."""
        try:
            found = urlsplit(self.address)
            complete = bool(found.hostname and found.port)
        except ValueError:
            complete = False
        if not complete or found.scheme not in ("tls", "tcp"):
            raise TargetError(say("--cluster {address}: expected tls://HOST:PORT", address=self.address))
        files = {"--tls-ca": self.ca, "--tls-cert": self.certificate, "--tls-key": self.key}
        if found.scheme == "tcp":
            if not is_loopback_host(found.hostname or ""):
                raise TargetError(
                    say("--cluster {address}: tcp:// only on loopback: whoever reaches it can run anything; use tls://",
                        address=self.address)
                )  # fmt: skip
            if given := [name for name, path in files.items() if path is not None]:
                raise TargetError(say("{name}: belongs to --cluster tls://HOST:PORT", name=given[0]))
            return
        if missing := [name for name, path in files.items() if path is None]:
            raise TargetError(
                say("--cluster {address}: missing {names}", address=self.address, names=", ".join(missing))
            )
        for name, path in files.items():
            if path is not None and not path.is_file():
                raise TargetError(say("{name} {path}: no such file", name=name, path=path))


def scheduler_at(
    address: str | None, ca: Path | None, certificate: Path | None, key: Path | None
) -> SchedulerAddress | None:
    """The scheduler that a command line names; None for this machine. Raises TargetError for one that is not safe."""
    if address is None:
        if ca or certificate or key:
            raise TargetError(say("{name}: belongs to --cluster tls://HOST:PORT", name="--tls-*"))
        return None
    found = SchedulerAddress(address, ca, certificate, key)
    found.check()
    return found
