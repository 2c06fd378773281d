"""Tokens: who may ask for what. The file holds SHA-256 sums of random tokens and rules for jobs, never a token."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from opsverify.core.stages import STAGES
from opsverify.errors import TargetError
from opsverify.language.message import say
from opsverify.serve.bodies import Name  # noqa: TC001 - read by msgspec
from opsverify.serve.caller import ANY, Caller, May
from opsverify.serve.oidc_rules import OidcRule, rule_problems
from opsverify.serve.run_event import EventReceiver, receiver_of

if TYPE_CHECKING:
    from pathlib import Path

LOG: Final = logging.getLogger("opsverify.serve")
_PREFIX: Final = "ovs_"


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token: its sum, what it may do, on which stages and targets (`*`: on all), and until when."""

    name: Name
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    may: list[May]
    stages: list[str]
    targets: list[str]
    expires: dt.datetime

    def caller(self) -> Caller:
        """Whoever has the token."""
        return Caller(self.name, frozenset(self.may), frozenset(self.stages), frozenset(self.targets))


class TokenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: tokens, rules for jobs, the targets where a run's starter may approve its hold, who is told of ends."""

    token: list[Token] = []
    oidc: list[OidcRule] = []
    events: dict[str, Any] | None = None
    self_approval: list[str] = []


class Tokens:
    """The token file, read again whenever it has changed: a token that is taken out is refused at once."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises TargetError with what is wrong in it."""
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._file = TokenFile()
        self._receiver: EventReceiver | None = None
        self._reload()

    def find(self, plain: str | None, now: dt.datetime) -> Caller | None:
        """Whoever has the token `plain`, where it has not expired. A file that cannot be read has no token."""
        digest = hashlib.sha256((plain or "").encode()).hexdigest()
        found = [each for each in self._valid(now) if hmac.compare_digest(each.sha256, digest)]
        return found[0].caller() if found else None

    def named(self, name: str, now: dt.datetime) -> Token | None:
        """The token called `name`, where it has not expired."""
        return next((each for each in self._valid(now) if each.name == name), None)

    def _valid(self, now: dt.datetime) -> list[Token]:
        try:
            self._reload()
        except TargetError as error:
            LOG.error("%s: no token is valid until it is corrected", error)  # noqa: TRY400 - the file's line, no trace
            return []
        return [each for each in self._file.token if now < each.expires]

    def rules(self) -> tuple[OidcRule, ...]:
        """The rules for jobs, of the file as `find` read it last."""
        return tuple(self._file.oidc)

    def receiver(self) -> EventReceiver | None:
        """Who is told of the ends of runs; while the file cannot be read, who was told before."""
        return self._receiver

    def may_approve_own(self, target: str) -> bool:
        """Whether the starter of a run on `target` may approve its hold."""
        return target in self._file.self_approval

    def _reload(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            self._stamp, self._file = (), TokenFile()
            file = _checked(msgspec.toml.decode(self._path.read_bytes(), type=TokenFile))
            self._receiver = receiver_of(file.events, self._path.parent)
            self._file, self._stamp = file, stamp
        except OSError as error:
            self._stamp, self._file = (), TokenFile()
            raise TargetError(
                say("{path}: {error}; name it with --tokens, or write it with what opsverify serve --make-token NAME "
                    "prints", path=self._path, error=error.strerror)
            ) from error  # fmt: skip
        except ValueError as error:
            if not isinstance(error, msgspec.MsgspecError):
                raise TargetError(say("{path}: {error}", path=self._path, error=error)) from error
            raise TargetError(
                say(
                    "{path}: {error}; make a token with opsverify serve --make-token NAME",
                    path=self._path,
                    error=error,
                )
            ) from error


def made_token(name: str, expires: dt.datetime) -> tuple[str, str]:
    """A new token, and its table for the file. The token itself is shown once and kept nowhere."""
    plain = _PREFIX + secrets.token_urlsafe(32)
    table = (
        f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(plain.encode()).hexdigest()}"\n'
        'may = ["run", "read"]  # also: approve, hook\nstages = ["prod-canary"]  # "*": all\ntargets = ["production"]\n'
        f"expires = {expires.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}\n"
    )
    return plain, table


def _checked(file: TokenFile) -> TokenFile:
    entries: list[Token | OidcRule] = [*file.token, *file.oidc]
    for entry in entries:
        unknown = [stage for stage in entry.stages if stage not in STAGES and stage != ANY]
        if unknown:
            raise ValueError(say("token {name}: no such stage: {stage}", name=entry.name, stage=unknown[0]))
    for problem in rule_problems(file.oidc):
        raise ValueError(problem)
    for token in file.token:
        if token.expires.tzinfo is None:
            raise ValueError(say("token {name}: expires has no time zone", name=token.name))
    names, sums = [each.name for each in entries], [each.sha256 for each in file.token]
    if len(set(names)) < len(names) or len(set(sums)) < len(sums):
        raise ValueError(say("two tokens or rules have one name, or two tokens one sum"))
    return file
