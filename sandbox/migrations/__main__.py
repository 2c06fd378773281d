"""Alembic on one sandbox's database: `python -m sandbox.migrations upgrade|downgrade|current --home H`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from sandbox.home import load_settings


def main() -> int:
    """Run one Alembic command as the database's owner; 1 if the database refused."""
    parser = argparse.ArgumentParser(prog="sandbox.migrations", description=__doc__)
    parser.add_argument("action", choices=("upgrade", "downgrade", "current"))
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--revision", help="default: head for upgrade, one down for downgrade")
    arguments = parser.parse_args()
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["conninfo"] = load_settings(arguments.home).conninfo("judgment_owner")
    try:
        if arguments.action == "upgrade":
            command.upgrade(config, arguments.revision or "head")
        elif arguments.action == "downgrade":
            command.downgrade(config, arguments.revision or "-1")
        else:
            command.current(config)
    except (SQLAlchemyError, psycopg.Error) as error:
        reason = str(error).splitlines()[0]
        print(f"migration {arguments.action} failed: {reason}; is PostgreSQL up?", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
