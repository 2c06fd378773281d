"""Settings of a shop: ports, roles and the folder with its templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandbox.home import Settings

FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = FOLDER / "templates"
SERVICES: Final = ("stable", "canary", "postgres", "prometheus")
"""Offsets from the port base, in this order."""
DATABASE: Final = "shop"
ADMIN: Final = "admin"
APP_ROLE: Final = "shop_app"
READER: Final = "shop_ro"
ROLES: Final = (APP_ROLE, READER)
DEFAULT_PORT_BASE: Final = 17500


def conninfo(settings: Settings, role: str) -> str:
    """The libpq connection string of a role, password included."""
    return (
        f"host=127.0.0.1 port={settings.ports['postgres']} dbname={DATABASE} user={role} "
        f"password={settings.secret(role)} connect_timeout=5"
    )
