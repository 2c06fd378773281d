"""Certificates of an authority that only the stand-in trusts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import trustme

if TYPE_CHECKING:
    from pathlib import Path

LIFETIME = dt.timedelta(days=90)
_VALID_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its own certificate, and the key it signs with."""

    ca: trustme.CA

    @classmethod
    def create(cls, name: str) -> Self:
        """Make a new one, whose organization is `name`."""
        return cls(trustme.CA(organization_name=name))

    @property
    def pem(self) -> str:
        """Its certificate, which clients that trust it name as `ca_file`."""
        return self.ca.cert_pem.bytes().decode()

    def issue(self, *names: str, lifetime: dt.timedelta = LIFETIME) -> str:
        """Return key and certificate (PEM) of a server with these DNS names or addresses; negative `lifetime`: expired.

        It is valid from thirty days before now, so that an expired one is not also one that is not valid yet.
        """
        now = dt.datetime.now(dt.UTC)
        issued = self.ca.issue_cert(
            *names, common_name=names[0], not_before=now - _VALID_BEFORE, not_after=now + lifetime
        )
        return issued.private_key_and_cert_chain_pem.bytes().decode()

    def save(self, folder: Path) -> None:
        """Write it to `folder`: `authority.pem` for everybody, `authority.key` for `load`."""
        self.ca.cert_pem.write_to_path(folder / "authority.pem")
        self.ca.private_key_pem.write_to_path(folder / "authority.key")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the one that was saved in `folder`."""
        return cls(
            trustme.CA.from_pem((folder / "authority.pem").read_bytes(), (folder / "authority.key").read_bytes())
        )
