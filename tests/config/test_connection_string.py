"""Connection string of a draft: what it says, and what it may not hold."""

from __future__ import annotations

import pytest

from opsverify.config.connection_string import postgres_of, prometheus_of


@pytest.mark.parametrize(
    ("dsn", "sslmode"),
    [
        ("postgresql://ops@db.example.com:5433/shop", "prefer"),
        ("postgres://ops@db.example.com:5433/shop?sslmode=verify-full", "verify-full"),
        ("host=db.example.com port=5433 dbname=shop user=ops", "prefer"),
    ],
)
def test_what_it_says(dsn: str, sslmode: str) -> None:
    """Host, port, database, user; `sslmode` as libpq has it."""
    found = postgres_of(dsn, None)
    assert (found.host, found.port, found.dbname, found.login.user) == ("db.example.com", 5433, "shop", "ops")
    assert (found.sslmode, found.login.password) == (sslmode, None)


def test_its_password_is_named() -> None:
    """By the variable that holds it."""
    password = postgres_of("postgresql://ops@db/shop", "PASSWORD_OF_OPS").login.password
    assert password is not None
    assert password.env == "PASSWORD_OF_OPS"


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql://ops:hunter22@db/shop", "it holds a password"),
        ("host=db dbname=shop user=ops password=hunter22", "it holds a password"),
        ("postgresql://ops@db/shop?password=hunter22", "it holds a password"),
        ("nonsense", "not a connection string"),
        ("postgresql://db/shop", "it lacks login"),
        ("postgresql://ops@db", "it lacks dbname"),
        ("postgresql://ops@one:1,two:2/shop", "several hosts|no port"),
        ("postgresql://ops@db/shop?gssencmode=disable", "gssencmode is not supported"),
    ],
)
def test_what_it_may_not_be(dsn: str, said: str) -> None:
    """Each is one line, which repeats no password."""
    with pytest.raises(ValueError, match=said) as caught:
        postgres_of(dsn, None)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://ops:hunter22@prometheus.example.com", "it holds a password"),
        ("prometheus.example.com", "no http"),
        ("file:///etc/passwd", "no http"),
    ],
)
def test_a_prometheus_that_cannot_be_drafted_from(url: str, said: str) -> None:
    """One line before anything is contacted, which repeats no password."""
    with pytest.raises(ValueError, match=said) as caught:
        prometheus_of(url)
    assert "hunter22" not in str(caught.value)
