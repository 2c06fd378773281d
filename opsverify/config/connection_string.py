"""Connection strings and URLs as settings: what `opsverify init --from-dsn --prometheus` is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from opsverify.config.database import PostgresConfig
from opsverify.config.database_source import expand_databases
from opsverify.config.model import PrometheusConfig
from opsverify.config.secrets import typed_secrets
from opsverify.language.message import say


def postgres_of(dsn: str, password_env: str | None) -> PostgresConfig:
    """The settings that a libpq connection string stands for; without `sslmode`, libpq's own default (`prefer`).

    Raises ValueError for another form, a password in it, and where host, database or user are missing.
    """
    if any(typed_secrets({"dsn": dsn})):
        raise ValueError(say("it holds a password; give that in the variable that --password-env names"))
    table: dict[str, Any] = {"dsn": dsn}
    for problem in expand_databases({"postgres": table}, Path()):
        raise ValueError(problem.partition(": ")[2])
    table.setdefault("sslmode", "prefer")
    if password_env is not None and "login" in table:
        table["login"]["password"] = {"env": password_env}
    try:
        return PostgresConfig.model_validate(table)
    except ValidationError as error:
        missing = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors())
        raise ValueError(
            say("it lacks {missing}; expected postgresql://USER@HOST/DATABASE", missing=missing)
        ) from error


def prometheus_of(url: str) -> PrometheusConfig:
    """The settings of the Prometheus at `url`, without a login. Raises ValueError for no URL, and a password in it."""
    if any(typed_secrets({"url": url})):
        raise ValueError(say("it holds a password; draft without it, and name the login in the target"))
    try:
        return PrometheusConfig(url=url)
    except ValidationError:  # whose text repeats what was given
        raise ValueError(say("no http(s) URL; expected a form such as https://prometheus.example.com")) from None
