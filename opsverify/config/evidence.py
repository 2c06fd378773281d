"""Evidence of a target's runs: how it is signed, by which keys it is verified, and who may read it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from opsverify.config.database import SecretRef  # noqa: TC001 - pydantic reads it
from opsverify.config.section import Section, Url, WebPage
from opsverify.language.message import say


class EvidenceConfig(Section):
    """How evidence is signed (an ed25519 key in PEM form), where titles link to, and who may read a run's files.

    `trusted_keys` is a TOML file of public keys ([[key]] with file, valid_from, valid_until, revoked), for runs that an
    earlier key signed. `timestamp_url` is an authority (RFC 3161) that says when a run was signed, and `timestamp_ca`
    the certificates (PEM) by which its answers are verified.
    """

    readable_by: Literal["owner", "group", "all"] = "owner"
    signing_key: SecretRef | None = None
    trusted_keys: str | None = None
    runbook_url: WebPage | None = None
    timestamp_url: Url | None = None
    timestamp_ca: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.timestamp_url is not None:
            for name in ("signing_key", "timestamp_ca"):
                if getattr(self, name) is None:
                    raise ValueError(say("timestamp_url without {name}; name both", name=name))
        return self

    @property
    def folder_mode(self) -> int:
        """The rights of a run's folder."""
        return {"owner": 0o700, "group": 0o750, "all": 0o755}[self.readable_by]
