"""Passwords of database roles: those that end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.units import elapsed

if TYPE_CHECKING:
    from opsverify.language.message import Message
    from opsverify.probes.postgres import Postgres

# Whether a role has a password is visible to superusers only: a role that may log in and has an end is asked for one.
ENDS: Final = """
SELECT rolname AS name, extract(epoch FROM rolvaliduntil - now())::float8 AS left_s
  FROM pg_roles
 WHERE rolcanlogin AND isfinite(rolvaliduntil)
 ORDER BY 2, 1
"""


@dataclass(frozen=True, slots=True)
class PasswordEnd:
    """A role that may log in, and the seconds until its password ends; below 0 it has ended."""

    role: str
    left_s: float

    @property
    def text(self) -> Message:
        """The role, and when its password ends or ended."""
        age = elapsed(abs(self.left_s))
        if self.left_s < 0:
            return say("{role} (ended {age} ago)", role=self.role, age=age)
        return say("{role} (in {age})", role=self.role, age=age)


def password_ends(postgres: Postgres) -> tuple[PasswordEnd, ...]:
    """The roles whose password ends, or has ended, first."""
    return tuple(PasswordEnd(row.name, row.left_s) for row in postgres.rows(ENDS))
