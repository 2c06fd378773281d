"""Key of a target whose age is reviewed, as `[keys]` declares it."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it

from opsverify.config.database import SecretRef  # noqa: TC001 - pydantic reads it
from opsverify.config.section import Section


class KeyRule(Section):
    """A key: since when it is in force, and where it is, unless it is a secret that the target names anyway."""

    secret: SecretRef | None = None
    rotated_at: dt.date | None = None
