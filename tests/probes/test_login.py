"""Logins of every HTTP part against a real TLS reverse proxy that asks for all of them."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from opsverify.config.load import load_target
from opsverify.config.model import require
from opsverify.errors import Inconclusive, TargetError
from opsverify.probes.access import access_to
from opsverify.probes.alertmanager import Alertmanager
from opsverify.probes.http import Http
from opsverify.probes.inbox import Inbox
from opsverify.probes.prometheus import Prometheus
from opsverify.probes.record import discard
from opsverify.probes.services import Services
from tests.probes.probe_servers import FakeServer, fake_server
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets

VECTOR = {"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}
ABSENT = 'absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]'
PREFIX = "/team/a"
LOGINS = {
    "tenant": ('headers = { X-Scope-OrgID = "t" }', {"X-Scope-OrgID": "t"}),
    "secret header": ('headers = { X-Api-Key = { env = "PLANTED" } }', {"X-Api-Key": "planted-secret"}),
    "bearer": ('bearer = { env = "PLANTED" }', {"Authorization": "Bearer planted-secret"}),
    "basic": (
        'basic = { user = "ops", password = { env = "PLANTED" } }',
        {"Authorization": f"Basic {base64.b64encode(b'ops:planted-secret').decode()}"},
    ),
}


def ask_prometheus(target: Target, secrets: Secrets, _http: Http) -> object:
    """Ask Prometheus for its clock."""
    config = require(target.prometheus)
    return Prometheus(config, access_to(config, secrets, target.proxy)).now()


def ask_alertmanager(target: Target, secrets: Secrets, http: Http) -> object:
    """Ask Alertmanager for alerts."""
    config = require(target.alertmanager)
    return Alertmanager(config, http, access_to(config, secrets, target.proxy)).firing()


def ask_inbox(target: Target, secrets: Secrets, http: Http) -> object:
    """Ask the inbox for messages."""
    config = require(target.inbox)
    return Inbox(config, http, access_to(config, secrets, target.proxy)).messages("x")


def ask_service(target: Target, secrets: Secrets, http: Http) -> Any:  # noqa: ANN401 - a reply, in place of an object
    """Ask a service for its health."""
    return Services(target, secrets, http, discard).get("a", "/health")


PARTS: dict[str, Callable[[Target, Secrets, Http], Any]] = {
    "prometheus": ask_prometheus,
    "alertmanager": ask_alertmanager,
    "inbox": ask_inbox,
    "services.a": ask_service,
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make an authority that no system trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the authority's and a client's certificates beside the target file."""
    folder = tmp_path_factory.mktemp("login")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("opsverify@example.com")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return folder


@pytest.fixture(scope="module")
def proxy(authority: trustme.CA) -> Iterator[FakeServer]:
    """Run a reverse proxy under a path prefix that wants a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with fake_server(context) as server:
        yield server


def target_with(folder: Path, part: str, keys: str, top: str = "") -> tuple[Target, Secrets]:
    """Load a target whose `part` has these keys, and `top` before all tables."""
    absent = ABSENT.replace(f'"{part}", ', "")
    text = SMALLEST.replace(ABSENT, absent)
    if part == "services.a":
        text = text.partition("[services.a]")[0]
    path = folder / "t.toml"
    path.write_text(f"{top}{text}\n[{part}]\n{keys}\n", encoding="utf-8")
    return load_target(path)


def answer_all(server: FakeServer) -> None:
    """Answer every probe's path below the prefix."""
    server.seen.clear()
    server.answer(f"{PREFIX}/api/v1/query", VECTOR)
    server.answer(f"{PREFIX}/api/v2/alerts", [])
    server.answer(f"{PREFIX}/api/v2/silences", [])
    server.answer(f"{PREFIX}/health", {"status": "ok"})
    server.answer(PREFIX, {"messages": []})


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("login", LOGINS)
def test_every_part_has_every_login(
    proxy: FakeServer, files: Path, monkeypatch: pytest.MonkeyPatch, part: str, login: str
) -> None:
    """Own authority, client certificate, path prefix and each login reach the server, for each part."""
    monkeypatch.setenv("PLANTED", "planted-secret")
    keys, headers = LOGINS[login]
    answer_all(proxy)
    target, secrets = target_with(
        files, part, f'url = "{proxy.url}{PREFIX}/"\nca_file = "ca.pem"\nclient_cert = "client.pem"\n{keys}'
    )
    with Http() as http:
        PARTS[part](target, secrets, http)
    sent = proxy.seen[0][2]
    assert {name: sent.get(name) for name in headers} == headers
    assert "planted" not in f"{target!r} {secrets!r}"


@pytest.mark.parametrize("part", PARTS)
def test_no_client_certificate_is_no_answer(proxy: FakeServer, files: Path, part: str) -> None:
    """A server that wants a certificate refuses a connection without one, and one line says so."""
    answer_all(proxy)
    target, secrets = target_with(files, part, f'url = "{proxy.url}{PREFIX}"\nca_file = "ca.pem"')
    with Http() as http, pytest.raises(Inconclusive) as caught:
        PARTS[part](target, secrets, http)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", PARTS)
def test_unknown_authority_is_refused(proxy: FakeServer, files: Path, part: str) -> None:
    """Without ca_file the authority is not trusted, and nothing is sent."""
    answer_all(proxy)
    target, secrets = target_with(files, part, f'url = "{proxy.url}{PREFIX}"\nclient_cert = "client.pem"')
    with Http() as http, pytest.raises(Inconclusive):
        PARTS[part](target, secrets, http)
    assert not proxy.seen


@pytest.mark.parametrize("key", ["ca_file", "client_cert"])
@pytest.mark.parametrize("part", PARTS)
def test_a_file_that_is_no_certificate_is_named(files: Path, part: str, key: str) -> None:
    """The key and the file are named; nobody is asked for a passphrase."""
    (files / "none.pem").write_text("nothing")
    target, secrets = target_with(files, part, f'url = "https://127.0.0.1:1"\n{key} = "none.pem"')
    with Http() as http, pytest.raises(Inconclusive, match=rf"{key} .*none\.pem cannot be used"):
        PARTS[part](target, secrets, http)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("login", LOGINS)
def test_credentials_stay_with_the_named_host(
    fake: FakeServer, files: Path, monkeypatch: pytest.MonkeyPatch, part: str, login: str
) -> None:
    """A redirect to another host is not followed: that one sees neither request nor login."""
    monkeypatch.setenv("PLANTED", "planted-secret")
    with fake_server() as other:
        answer_all(other)
        for path in (f"{PREFIX}/api/v1/query", f"{PREFIX}/api/v2/alerts", f"{PREFIX}/health", PREFIX):
            fake.routes[path] = (302, {"Location": other.url + path}, "")
        target, secrets = target_with(files, part, f'url = "{fake.url}{PREFIX}"\n{LOGINS[login][0]}')
        with Http() as http:
            if part == "services.a":
                assert PARTS[part](target, secrets, http).status == 302
            else:
                with pytest.raises(Inconclusive, match=r"302|redirected"):
                    PARTS[part](target, secrets, http)
        assert not other.seen


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('bearer = { env = "HOME" }\nbasic = { user = "u", password = { env = "HOME" } }', "are two logins"),
        ('client_key = "k.pem"', "client_key without client_cert"),
        ('ca_file = "ca.pem"', "has no use for a plain http url"),
        ('headers = { "X Y" = "t" }', "cannot be sent"),
        ('headers = { X-A = "a\\nb" }', "cannot be sent"),
        ('headers = { Host = "other" }', "is set by the request itself"),
        ('headers = { X-A = "1", x-a = "2" }', "named twice"),
        ('basic = { user = "u", password = "typed-in-secret" }', "basic.password: a secret is typed in"),
        ('headers = { Authorization = "typed-in-secret" }', "headers.Authorization: a secret is typed in"),
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_a_login_that_cannot_be_meant_is_refused(files: Path, part: str, keys: str, said: str) -> None:
    """One line with the key, and never the secret."""
    with pytest.raises(TargetError, match=said) as caught:
        target_with(files, part, f'url = "http://127.0.0.1:1"\n{keys}')
    assert "typed-in-secret" not in str(caught.value)


@pytest.mark.parametrize("part", PARTS)
def test_a_login_inside_a_url_is_refused_unseen(files: Path, part: str) -> None:
    """`http://ops:secret@host` is refused, and not printed."""
    with pytest.raises(TargetError) as caught:
        target_with(files, part, 'url = "http://ops:planted-secret@127.0.0.1:1"')
    assert f"{part}.url" in str(caught.value)
    assert "planted" not in json.dumps(str(caught.value))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_proxy_of_its_own(fake: FakeServer, files: Path, part: str) -> None:
    """The part's proxy replaces the target's, `none` too; without one the target's is used."""
    for path in (
        f"{PREFIX}/api/v1/query",
        f"{PREFIX}/api/v2/alerts",
        f"{PREFIX}/api/v2/silences",
        f"{PREFIX}/health",
        PREFIX,
    ):
        body = VECTOR if "query" in path else {"messages": []} if path == PREFIX else {} if "health" in path else []
        fake.answer(f"http://part.invalid{path}", body)
    elsewhere, url = "http://127.0.0.1:9", f'url = "http://part.invalid{PREFIX}"'
    for own, common, reached in ((fake.url, elsewhere, True), (None, fake.url, True), ("none", fake.url, False)):
        fake.seen.clear()
        keys = url if own is None else f'{url}\nproxy = "{own}"'
        target, secrets = target_with(files, part, keys, f'proxy = "{common}"\n')
        with Http(proxy=target.proxy) as http:
            if reached:
                PARTS[part](target, secrets, http)
            else:
                with pytest.raises(Inconclusive, match=r"part\.invalid"):
                    PARTS[part](target, secrets, http)
        assert bool(fake.seen) == reached


def test_a_header_of_the_request_goes_before(fake: FakeServer, files: Path) -> None:
    """A journey that tests a login of its own sends that one."""
    fake.answer("/x", {})
    target, secrets = target_with(files, "services.a", f'url = "{fake.url}"\nheaders = {{ X-Tenant = "ours" }}')
    with Http() as http:
        Services(target, secrets, http, discard).request("GET", "a", "/x", headers={"x-tenant": "theirs"})
    assert [value for name, value in fake.seen[0][2].items() if name.lower() == "x-tenant"] == ["theirs"]
