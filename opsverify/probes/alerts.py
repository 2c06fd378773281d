"""Alert, as both Prometheus and Alertmanager report it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Alert:
    """One active alert; `labels` hold its name too; `active_since` is None where it is not reported."""

    name: str
    labels: Mapping[str, str]
    state: str
    active_since: dt.datetime | None
