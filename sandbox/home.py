"""Home folder of one sandbox: its settings, secrets, control file, and how they are written.

Everything here is read by the platform's processes too, so files are replaced atomically and a reader
never sees half of one.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import HomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

JUDGMENT_KEYS = "judgment:*"
"""Keys of the cached judgments in Redis."""
REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_PORT_BASE = 17400
DEFAULT_RATE = 20.0
DEFAULT_CANARY_SHARE = 0.15
SERVICES = (
    "edge", "stable", "canary", "llm", "inbox", "mcp", "postgres", "redis", "prometheus", "alertmanager",
    "mcp_alternate", "canary_2", "canary_3",
)  # fmt: skip
"""Offsets from the port base, in this order."""
PODS = ("canary", "canary_2", "canary_3")
"""Services that can be pods of the canary; the first always is one, for the target has its address."""

DATABASE = "judgment"
DATABASE_USERS = ("judgment_owner", "judgment_app", "opsverify_ro", "opsverify_smoke", "opsverify_heartbeat")
SECRETS = (*DATABASE_USERS, "redis", "admin_token")
SIGNING_KEY = "signing_key.pem"
VERSIONS = {"stable": "1.4.0", "canary": "1.5.0"}
PROCESSES, CONTAINERS = PROVIDERS = ("processes", "containers")
"""How the servers of a sandbox run."""
PROVIDER_VARIABLE = "OPSVERIFY_SANDBOX_PROVIDER"
ACTED_ON, REPORTED = "on", "reported"
"""States of a remedy: the platform acts on it, or only says that it does."""
_HIGHEST_PORT = 65535


def default_home() -> Path:
    """Return the folder named by OPSVERIFY_SANDBOX_HOME, or `.sandbox` in the repository."""
    return Path(os.environ.get("OPSVERIFY_SANDBOX_HOME") or REPOSITORY / ".sandbox").expanduser().resolve()


def write_atomic(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace `path` by `text` in one step, with permission bits `mode`."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(home: Path, name: str) -> Iterator[None]:
    """Hold the lock file `name` of `home`, waiting until it is free; SandboxError if the home does not exist."""
    if not home.is_dir():
        raise HomeError("absent", "no sandbox in {home}: run 'sandbox up' first", home=home)
    # Imported here: every process of the platform starts with this module, and only writers lock.
    from filelock import FileLock  # noqa: PLC0415

    with FileLock(home / f".{name}.lock"):
        yield


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything of one sandbox is; `ports` by service name, all on 127.0.0.1; `provider` of its servers."""

    home: Path
    port_base: int
    data_dir: Path
    ports: Mapping[str, int]
    versions: Mapping[str, str] = field(default_factory=lambda: dict(VERSIONS))
    provider: str = PROCESSES

    @classmethod
    def build(cls, home: Path, port_base: int, data_dir: Path) -> Settings:
        """Make settings with consecutive ports from `port_base`; refuses ports that do not exist."""
        if not 0 < port_base <= _HIGHEST_PORT - len(SERVICES):
            raise HomeError(
                "ports", "port base {base} is out of range: expected 1 to {most}",
                base=port_base, most=_HIGHEST_PORT - len(SERVICES),
            )  # fmt: skip
        return cls(
            home=home,
            port_base=port_base,
            data_dir=data_dir,
            ports={service: port_base + offset for offset, service in enumerate(SERVICES)},
        )

    @property
    def secrets_dir(self) -> Path:
        """One file for each secret, readable by its owner only."""
        return self.home / "secrets"

    @property
    def logs_dir(self) -> Path:
        """One log file for each process."""
        return self.home / "logs"

    def url(self, service: str) -> str:
        """Return the base URL of a service that speaks HTTP."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def secret(self, name: str) -> str:
        """Return the value of the secret `name`, without the line end."""
        return (self.secrets_dir / name).read_text(encoding="utf-8").strip()

    def conninfo(self, user: str) -> str:
        """Return the libpq connection string of a database role, password included."""
        return (
            f"host=127.0.0.1 port={self.ports['postgres']} dbname={DATABASE} user={user} "
            f"password={self.secret(user)} connect_timeout=5"
        )

    def save(self) -> None:
        """Write `settings.json`."""
        content = {
            "port_base": self.port_base,
            "ports": dict(self.ports),
            "data_dir": str(self.data_dir),
            "postgres": {"dbname": DATABASE, "users": {name: {"secret": name} for name in DATABASE_USERS}},
            "secrets_dir": str(self.secrets_dir),
            "versions": dict(self.versions),
            "provider": self.provider,
        }
        write_atomic(self.home / "settings.json", json.dumps(content, indent=2) + "\n", mode=0o644)


def load_settings(home: Path | str) -> Settings:
    """Read `settings.json` of `home`; a home that was never set up is a SandboxError."""
    folder = Path(home).expanduser().resolve()
    path = folder / "settings.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise HomeError(
            "unset", "no sandbox in {home}: {file} is missing; run 'sandbox up' first", home=folder, file=path.name
        ) from error
    except ValueError as error:
        raise HomeError(
            "garbled", "{file} is not JSON ({error}); run 'sandbox down' and 'sandbox up'", file=path, error=error
        ) from error
    return Settings(
        home=folder,
        port_base=content["port_base"],
        data_dir=Path(content["data_dir"]),
        ports=content["ports"],
        versions=content["versions"],
        provider=content.get("provider", PROCESSES),
    )


def create_secrets(folder: Path) -> None:
    """Make every secret that is not there yet, each in its own file of mode 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SECRETS:
        if not (folder / name).exists():
            write_atomic(folder / name, secrets.token_urlsafe(24) + "\n")
    if not (folder / SIGNING_KEY).exists():
        write_atomic(folder / SIGNING_KEY, _new_signing_key())


def _new_signing_key() -> str:
    # Imported here: it costs a third of the start of every platform process, and only `up` needs it.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@dataclass(frozen=True, slots=True)
class ControlState:
    """What the platform should do now: `rate` in judgments/s, `canary_share` 0..1, fault name -> scope.

    `remedies`: name -> `on`, or `reported` for one that the platform reports and does not act on. `canary_pods`: those
    of `PODS` among which the canary's requests are spread.
    """

    rate: float = DEFAULT_RATE
    canary_share: float = DEFAULT_CANARY_SHARE
    faults: Mapping[str, str] = field(default_factory=dict)
    remedies: Mapping[str, str] = field(default_factory=dict)
    canary_pods: tuple[str, ...] = PODS[:1]

    def remedied(self, remedy: str) -> bool:
        """Whether the platform acts on `remedy`."""
        return self.remedies.get(remedy) == ACTED_ON

    def active(self, fault: str, track: str | None = None) -> bool:
        """Whether `fault` is on, for `track` (stable, canary) if one is given."""
        scope = self.faults.get(fault)
        return scope is not None and (track is None or scope in ("all", track))


_SETTLED_NS = 50_000_000
"""File times of many kernels are those of a tick of 4 or 10 ms: two files of one tick may have one time and inode."""


class Control:
    """`control.json` of one home; `read` costs one stat, from shortly after it was written until it is again."""

    def __init__(self, home: Path | str) -> None:
        self._home = Path(home)
        self._path = self._home / "control.json"
        self._seen: tuple[int, int] | None = None
        self._text = ""
        self._state = ControlState()

    def read(self) -> ControlState:
        """Return the current state; the defaults while the file does not exist."""
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_ino)
            if seen != self._seen:
                text = self._path.read_text(encoding="utf-8")
                if text != self._text:
                    self._state, self._text = _parse_control(json.loads(text)), text
                self._seen = seen if time.time_ns() - facts.st_mtime_ns > _SETTLED_NS else None
        except FileNotFoundError:
            return ControlState()
        return self._state

    def write(self, state: ControlState) -> None:
        """Replace the state."""
        content: dict[str, Any] = asdict(state)
        content["faults"] = {name: {"scope": scope} for name, scope in state.faults.items()}
        content["remedies"] = dict(state.remedies)
        write_atomic(self._path, json.dumps(content, indent=2) + "\n", mode=0o644)

    def update(self, change: Callable[[ControlState], ControlState]) -> ControlState:
        """Replace the state by `change` of it, so that two writers at once lose nothing."""
        with locked(self._home, "control"):
            state = change(self.read())
            self.write(state)
        return state


def _parse_control(content: dict[str, Any]) -> ControlState:
    return ControlState(
        rate=float(content["rate"]),
        canary_share=float(content["canary_share"]),
        faults={name: fault["scope"] for name, fault in content["faults"].items()},
        remedies=dict(content.get("remedies", {})),
        canary_pods=tuple(content.get("canary_pods", PODS[:1])),
    )
