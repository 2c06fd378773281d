"""Connection of an HTTP part of the target: where it is, how to log in there, whom to trust, through which proxy."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from opsverify.config.database import SecretRef  # noqa: TC001 - pydantic reads it
from opsverify.config.section import Proxy, Section, Url
from opsverify.language.message import say

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "proxy-authorization"}
)
_AUTHORIZATION = "authorization"


class BasicLogin(Section):
    """Basic authentication: a user, and a password by reference."""

    user: str = Field(min_length=1, pattern=r"^[^:\x00-\x1f]+$")
    password: SecretRef


class Connection(Section):
    """An HTTP(S) URL with its login.

    `headers` are sent with every request (a value is text, or a secret's reference); `ca_file`, `client_cert` and
    `client_key` are PEM files, relative to the target file; `proxy` replaces the target's for this part.
    """

    url: Url
    bearer: SecretRef | None = None
    basic: BasicLogin | None = None
    headers: dict[str, SecretRef | str] = Field(default_factory=dict)
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: Proxy | None = None

    @model_validator(mode="after")
    def _one_login(self) -> Connection:
        names = [name.lower() for name in self.headers]
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or (
                isinstance(value, str) and not (value.isprintable() and value.isascii())
            ):
                raise ValueError(
                    say(
                        "headers: {name!r} cannot be sent; expected a header such as X-Scope-OrgID, one line", name=name
                    )
                )
            if name.lower() in _OURS:
                raise ValueError(say("headers: {name} is set by the request itself; remove it", name=name))
        if len(set(names)) < len(names):
            raise ValueError(say("headers: a header is named twice; names differ by more than upper and lower case"))
        logins = [key for key in ("bearer", "basic") if getattr(self, key) is not None]
        logins += ["headers.Authorization"] * (_AUTHORIZATION in names)
        if len(logins) > 1:
            raise ValueError(say("{logins} are two logins; expected one of them", logins=" and ".join(logins)))
        if self.client_key is not None and self.client_cert is None:
            raise ValueError(say("client_key without client_cert; name both, or a client_cert that holds its key"))
        files = [key for key in ("ca_file", "client_cert") if getattr(self, key) is not None]
        if files and not self.url.startswith("https://"):
            raise ValueError(say("{files} has no use for a plain http url; expected an https:// url", files=files[0]))
        return self
