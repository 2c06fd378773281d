"""Source of a database's settings: every form at every place, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.database_source import expand_databases, parse_dsn
from opsverify.config.load import load_target
from opsverify.errors import TargetError
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

PLACES = (("postgres",), ("recovery", "source"), ("regions", "original", "database"), ("regions", "dr", "database"))
EXPECTED = {
    "host": "db.example.com",
    "port": 5433,
    "dbname": "judgment",
    "sslmode": "verify-full",
    "login": {"user": "reader"},
}
FORMS: dict[str, dict[str, object]] = {
    "dsn as a URL": {"dsn": "postgresql://reader@db.example.com:5433/judgment?sslmode=verify-full"},
    "dsn as words": {"dsn": "host=db.example.com port=5433 dbname='judgment' sslmode=verify-full user=reader"},
    "service": {"service": "judgment", "service_file": "pg_service.conf"},
    "environment": {"from_environment": True},
}  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a service file, and `PG*` variables."""
    lines = ["[judgment]", "host=db.example.com", "port=5433", "dbname=judgment", "sslmode=verify-full", "user=reader"]
    (tmp_path / "pg_service.conf").write_text("\n".join(lines), encoding="utf-8")
    values = {"PGHOST": "db.example.com", "PGPORT": "5433", "PGDATABASE": "judgment", "PGSSLMODE": "verify-full"}
    for name, value in (values | {"PGUSER": "reader"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    return tmp_path


def at(place: tuple[str, ...], table: dict[str, object]) -> dict[str, Any]:
    """A target file's content with this table at a place."""
    content: Any = table
    for key in reversed(place):
        content = {key: content}
    found: dict[str, Any] = content
    return found


@pytest.mark.parametrize("place", PLACES, ids=".".join)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_keys_of_its_table(outside: Path, place: tuple[str, ...], form: str) -> None:
    """Whatever says where the database is, the table ends with the same keys, and nothing of the form is left."""
    content = at(place, dict(FORMS[form]))
    assert list(expand_databases(content, outside)) == []
    assert content == at(place, EXPECTED)


@pytest.mark.parametrize("form", FORMS)
def test_what_the_table_says_goes_before(outside: Path, form: str) -> None:
    """A key beside the form replaces its part, the rest stays."""
    own = {"dbname": "other", "login": {"user": "own"}}
    content = at(("postgres",), dict(FORMS[form]) | own)
    assert list(expand_databases(content, outside)) == []
    assert content["postgres"] == EXPECTED | own


def test_a_target_with_a_connection_string_loads(tmp_path: Path) -> None:
    """The form is read where the target is loaded, and its values are validated as if they stood there."""
    text = SMALLEST.replace('"postgres", ', "")
    config = target_in(tmp_path, text + '[postgres]\ndsn = "postgresql://reader@[::1]:5433/judgment"\n').postgres
    assert config is not None
    assert (config.host, config.port, config.dbname, config.login.user) == ("::1", 5433, "judgment", "reader")


def test_the_password_of_the_environment_is_named_and_not_copied(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PGPASSWORD` becomes a secret by its name; the value is nowhere in the target."""
    monkeypatch.setenv("PGPASSWORD", "planted-secret")
    path = outside / "t.toml"
    path.write_text(SMALLEST.replace('"postgres", ', "") + "[postgres]\nfrom_environment = true\n", encoding="utf-8")
    target, secrets = load_target(path)
    assert target.postgres is not None
    assert secrets.of(target.postgres.login.password) == "planted-secret"
    assert "planted" not in repr(target)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('dsn = "host=db"\nservice = "x"', r"postgres: dsn and service each say where the database is"),
        ('dsn = "postgresql://reader:planted@db/x"', r"postgres\.dsn"),
        ('dsn = "host=db password=planted"', r"postgres\.dsn: .*password"),
        ('dsn = "host=db fallback=x"', r"postgres\.dsn: parameter fallback is not supported"),
        ('dsn = "postgresql://reader@a:1,b:2/x"', r"postgres\.dsn: several hosts"),
        ('dsn = "host=db port=many"', r"postgres\.dsn: port is no number"),
        ('dsn = "=db"', r"postgres\.dsn: not a connection string"),
        ('service = "x"\nservice_file = "none.conf"', r"postgres\.service: .*No such file"),
        ('service = "other"\nservice_file = "pg_service.conf"', r"postgres\.service: no service 'other'.*: judgment"),
        ("from_environment = false", r"postgres\.from_environment: expected true, or no such key"),
        ("service = 5", r"postgres\.service: expected text"),
    ],
)  # fmt: skip
def test_what_is_no_source_is_one_line(outside: Path, table: str, said: str) -> None:
    """Key and reason, and never a password."""
    text = SMALLEST.replace('"postgres", ', "") + f"[postgres]\n{table}\n"
    with pytest.raises(TargetError, match=said) as caught:
        target_in(outside, text)
    assert "planted" not in str(caught.value)


WORDS = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters="\x7f"), min_size=1, max_size=12)


@given(st.dictionaries(st.sampled_from(["host", "dbname", "user"]), WORDS, min_size=1))
def test_quoted_words_are_read_as_libpq_does(values: dict[str, str]) -> None:
    """Quotes and backslashes inside a value are escaped by a backslash, and nothing else is."""
    quoted = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in values.items()}
    assert parse_dsn(" ".join(f"{key}='{value}'" for key, value in quoted.items())) == values
