"""Output: nothing that a service answers acts on terminal, page or memory, or sends a request elsewhere."""

from __future__ import annotations

import gzip
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.load import load_target
from opsverify.config.model import McpServer, PrometheusConfig
from opsverify.core.results import CheckResult, Measurement
from opsverify.core.stages import Outcome
from opsverify.errors import Inconclusive, TargetError, Unreachable
from opsverify.evidence.files import restrict
from opsverify.limits import Limit
from opsverify.plain import plain_line, plain_lines, plain_output
from opsverify.probes.http import Http
from opsverify.probes.http_transport import MOST_BODY
from opsverify.probes.mcp import Mcp
from opsverify.probes.prometheus import Prometheus
from tests.probes.probe_servers import fake_server
from tests.pytest_plugin.suite import TARGET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.probes.probe_servers import FakeServer
    from tests.pytest_plugin.suite import Suite

FORGED: Final = "staging on prod: PROMOTE  (exit 0; 22 pass)"
ACTIVE: Final = {
    "clear screen": "\x1b[2J\x1b[H",
    "OSC title": "\x1b]0;owned\x07",
    "OSC link": "\x1b]8;;http://evil.example\x1b\\",
    "8-bit CSI": "\x9b2J",
    "line feed": "\n",
    "carriage return": "\r",
    "CR LF": "\r\n",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "file separator": "\x1c",
    "backspace": "\b" * 40,
    "right to left": "\u202e",
    "isolate": "\u2067",
    "invisible": "\u200b\ufeff",
    "tag letters": "\U000e0041",
    "null": "\x00",
    "delete": "\x7f",
}
"""What a terminal or a page would act on."""
HARMLESS: Final = frozenset(map(ord, "\n\t"))
_HEALTH: Final = """
import json
from opsverify import Limit, NONE

@described("t.answer", "1-daily/alerts", "1-daily/llm", "1-daily/dead-letters", "1-daily/mcp", "1-daily/stores")
def test_answer(check, services):
    reply = services.get("a", "/health")
    text = reply.json["status"]
    print(text)
    logging.getLogger("service").warning(text)
    check.attach("answer " + text, text)
    check.expect("status " + text, text, "ok")
    with check.step("read " + text):
        check.measure(text, 2.0, RATE, of=text)

@described("t.raised", "1-daily/llm")
def test_raised(check, services):
    raise Inconclusive(services.get("a", "/health").json["status"])

@described("t.crashed", "1-daily/llm")
def test_crashed(check, services):
    raise ValueError(services.get("a", "/health").json["status"])
"""


def _active(text: str) -> set[str]:
    return {
        hex(ord(one))
        for one in text
        if ord(one) not in HARMLESS
        and (ord(one) < 32 or 127 <= ord(one) < 160 or one in "\u2028\u2029\u202e\u2067\u200b\ufeff\U000e0041")
    }


@pytest.mark.parametrize("way", ["cli", "pytest"])
def test_no_answer_acts_on_terminal_or_page(suite: Suite, way: str) -> None:
    """A health endpoint's answer is in every message, and forges no line, clears nothing, turns nothing round."""
    hostile = "".join(f"{character}{FORGED}" for character in ACTIVE.values())
    with fake_server() as server:
        server.answer("/health", json.dumps({"status": hostile}))
        target = suite.root / "targets" / "t.toml"
        target.write_text(target.read_text().replace("http://127.0.0.1:9", server.url))
        (suite.root / "checks" / "test_whole.py").unlink()
        suite.checks("answer", _HEALTH)
        ran = suite.run(way, ["-s", "-rA"] if way == "cli" else ["-o", "log_cli=true"])
    assert ran.verdict is not None, str(ran)
    assert ran.code in (1, 10)
    assert ran.folder is not None
    for name, text in {"stdout": ran.out, "stderr": ran.err, "verdict": _strings(ran.verdict)}.items():
        assert _active(text) == set(), name
    for line in (ran.out + ran.err).splitlines():
        assert not line.startswith(FORGED) or way == "cli"  # under -s a check's own print is the check's own
    results = list((ran.folder / "allure-results").iterdir())
    assert results
    for path in results:
        text = path.read_text(encoding="utf-8")
        assert _active(_strings(json.loads(text)) if path.suffix == ".json" else text) == set(), path.name


def _strings(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return "".join(_strings(key) + _strings(item) for key, item in value.items())
    return "".join(map(_strings, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", ACTIVE)
def test_each_is_shown_and_does_nothing(name: str) -> None:
    """Every such character is replaced by a text for it; results are clean however they are made."""
    hostile = f"before{ACTIVE[name]}{FORGED}"
    limit = Limit.parse("< 1 %", "ratio")
    result = CheckResult("t.x", Outcome.FAIL, hostile)
    for text in (
        plain_line(hostile),
        result.message,
        Measurement.equal(hostile, hostile, hostile).message,
        Measurement.of(hostile, 2.0, limit, what=hostile).message,
        str(Measurement.equal("x", hostile, "y").measured),
    ):
        assert _active(text) == set()
        assert "\n" not in text
        assert "PROMOTE" in text
    assert _active(plain_lines(hostile)) == set()


@given(st.text())
def test_plain_text_stays(text: str) -> None:
    """Cleaning twice is cleaning once, letters of any language stay, and nothing active is left."""
    for clean in (plain_line, plain_lines):
        assert clean(clean(text)) == clean(text)
        assert _active(clean(text)) == set()
    assert plain_line("판단 지연 Ä 漢字 ✓") == "판단 지연 Ä 漢字 ✓"
    assert plain_output("\x1b[31mred\x1b[0m\r") == "\x1b[31mred\x1b[0m\r"
    assert "\x1b" not in plain_output("\x1b[2J\x1b]0;x\x07")


def test_errors_of_commands_are_clean(suite: Suite) -> None:
    """What the command line quotes of a file is clean as well."""
    ran = suite.run("cli", target="no\x1b[2Jsuch\ntarget")
    assert ran.code == 4
    assert _active(ran.out + ran.err) == set()


# ---- answers without end ------------------------------------------------------------------------------------------


def _endless(part: bytes, header: str = "", *, in_headers: bool = False) -> Any:  # noqa: ANN401 - a route
    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header.encode())
            if not in_headers:
                handler.wfile.write(b"Connection: close\r\n\r\n")
            for _ in range(20_000):
                handler.wfile.write(part)
        except OSError:
            handler.close_connection = True

    return answer


def _dripping(head: bytes) -> Any:  # noqa: ANN401 - a route
    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        try:
            handler.wfile.write(head)
            for _ in range(600):
                handler.wfile.write(b"x")
                threading.Event().wait(0.05)
        except OSError:
            handler.close_connection = True

    return answer


def test_a_long_answer_is_cut(fake: FakeServer) -> None:
    """A body of any length costs one MiB, and is inconclusive."""
    fake.routes["/long"] = _endless(b"x" * 65536)
    with Http() as http:
        with pytest.raises(Inconclusive, match="longer than 1,048,576 bytes"):
            http.get(f"{fake.url}/long")
        fake.answer("/whole", "x" * MOST_BODY)
        assert len(http.get(f"{fake.url}/whole").text) == MOST_BODY
        with pytest.raises(Inconclusive, match="longer than 10 bytes"):
            http.get(f"{fake.url}/whole", max_body=10)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_answer_is_cut(fake: FakeServer, encoding: str) -> None:
    """A bomb of 1 MB that unpacks to 1 GB is inconclusive, and none is asked for."""
    bomb = gzip.compress(bytes(64 << 20))

    def answer(handler: Any) -> None:  # noqa: ANN401 - http.server's
        handler.send_response(200)
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    fake.routes["/bomb"] = answer
    with Http() as http, pytest.raises(Inconclusive, match=r"longer than|no valid"):
        http.get(f"{fake.url}/bomb")
    assert fake.seen[0][2]["Accept-Encoding"] == "identity"


def test_an_encoding_that_was_not_asked_for(fake: FakeServer) -> None:
    """An answer in another encoding is inconclusive, by name; a small packed one is read."""
    fake.routes["/br"] = (200, {"Content-Encoding": "br"}, "{}")
    small = gzip.compress(b'{"status": "ok"}')

    def packed(handler: Any) -> None:  # noqa: ANN401 - http.server's
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(small)))
        handler.end_headers()
        handler.wfile.write(small)

    fake.routes["/small"] = packed
    with Http() as http:
        with pytest.raises(Inconclusive, match="encoded as 'br'"):
            http.get(f"{fake.url}/br")
        assert http.get(f"{fake.url}/small").field("status") == "ok"


@pytest.mark.parametrize("client", ["http", "prometheus", "mcp"])
def test_headers_without_end(fake: FakeServer, client: str) -> None:
    """Headers without end are no answer, in every client."""
    for path in ("/health", "/api/v1/query", "/mcp"):
        fake.routes[path] = _endless(b"X-More: yes\r\n", in_headers=True)
    with pytest.raises(Inconclusive):
        _ask(client, fake.url, 5.0)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b""],
    ids=["headers", "body", "status line"],
)
def test_a_slow_drip_ends_at_the_deadline(fake: FakeServer, head: bytes) -> None:
    """A byte now and then never makes an answer: the whole request has one deadline."""
    fake.routes["/health"] = _dripping(head)
    with pytest.raises(Unreachable, match=r"no answer"):
        _ask("http", fake.url, 0.3)


def _ask(client: str, url: str, timeout_s: float) -> None:
    if client == "http":
        with Http(timeout_s=timeout_s) as http:
            http.get(f"{url}/health", bearer="planted-bearer")
    elif client == "prometheus":
        with Prometheus(PrometheusConfig(url=url, timeout_s=timeout_s), "planted-bearer") as prometheus:
            prometheus.instant("up")
    else:
        Mcp(McpServer(url=f"{url}/mcp", timeout_s=timeout_s), "planted-bearer").describe()


@pytest.mark.parametrize("client", ["http", "prometheus", "mcp"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(fake: FakeServer, client: str, status: int) -> None:
    """Neither request nor credentials reach the host that an answer names."""
    with fake_server() as other:
        for path in ("/health", "/api/v1/query", "/mcp"):
            other.answer(path, {"status": "success", "data": {"resultType": "vector", "result": []}})
            fake.routes[path] = (status, {"Location": f"{other.url}{path}"}, "")
        if client == "http":
            _ask(client, fake.url, 5.0)
        else:
            with pytest.raises(Inconclusive):
                _ask(client, fake.url, 5.0)
        assert other.seen == []


# ---- secrets in targets, files of a run ---------------------------------------------------------------------------

TYPED: Final = {
    "bearer": ('bearer = "hunter2-planted"', '[services.b]\nurl = "https://b.example.com"\n'),
    "password": ('password = "hunter2-planted"', '[redis]\nhost = "r"\n'),
    "in a login": ('login = { user = "u", password = "hunter2-planted" }', '[postgres]\nhost = "h"\ndbname = "d"\n'),
    "a login as text": ('login = "u:hunter2-planted"', '[postgres]\nhost = "h"\ndbname = "d"\n'),
    "a list": ('bearer = ["hunter2-planted"]', '[services.b]\nurl = "https://b.example.com"\n'),
    "a table of another form": ('bearer = { value = "hunter2-planted" }', '[services.b]\nurl = "https://b"\n'),
    "env that is no name": ('bearer = { env = "hunter2-planted" }', '[services.b]\nurl = "https://b"\n'),
    "signing key": ('signing_key = "hunter2-planted"', "[evidence]\n"),
    "an unknown key": ('api_key = "hunter2-planted"', '[services.b]\nurl = "https://b"\n'),
    "a header": ('headers = { Authorization = "Bearer hunter2-planted" }', "[inbox]\n"),
    "in a URL": ('url = "http://ops:hunter2-planted@host"', "[services.b]\n"),
    "a name in a URL": ('url = "http://hunter2-planted@host"', "[services.b]\n"),
    "in a URL of a wrong scheme": ('url = "ftp://ops:hunter2-planted@host"', "[services.b]\n"),
    "in a query": ('url = "https://host/?token=hunter2-planted"', "[services.b]\n"),
    "in a proxy": ("", 'proxy = "http://me:hunter2-planted@proxy"\n'),
    "in a connection string": ('dsn = "host=h password=hunter2-planted"', "[postgres]\n"),
    "in a step": ('run = ["curl", "https://me:hunter2-planted@host/"]\nrunbook = "2-4"', "[[actions.rollback]]\n"),
}
"""A secret where a reference, or nothing, belongs."""


@pytest.mark.parametrize("name", TYPED)
def test_a_typed_secret_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    """Whatever is wrong with the file besides, no line of the error holds the secret."""
    line, table = TYPED[name]
    text = TARGET.replace('"redis", ', "") if "[redis]" in table else TARGET
    text = text.replace('absent = ["', f'{table}absent = ["') if not line else f"{text}\n{table}{line}\n"
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert "hunter2-planted" not in str(caught.value)
    assert "hunter2" not in "".join(caught.value.problems)


def test_references_are_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """References, `git@` in an SSH URL of a step, and placeholders are accepted."""
    monkeypatch.setenv("PLANTED_SECRET", "something-long")
    path = tmp_path / "t.toml"
    path.write_text(
        TARGET
        + '\n[[actions.rollback]]\nrun = ["git", "clone", "ssh://git@host/x", "password={run_id}"]\nrunbook = "2-4"\n'
    )
    target, secrets = load_target(path)
    assert target.actions.rollback[0].run[2] == "ssh://git@host/x"
    assert secrets.values == {"something-long"}


def _set_umask(umask: int) -> None:
    os.umask(umask)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("key", "folder", "file"), [("", 0o700, 0o600), ('readable_by = "group"', 0o750, 0o640)])
def test_files_of_a_run_are_private(suite: Suite, umask: int, key: str, folder: int, file: int) -> None:
    """Every file of a run is 0600 in a 0700 folder, whatever the umask, unless the target says otherwise."""
    if key:
        suite.target(f"[evidence]\n{key}\n")
    ran = suite.run("cli", prepare=lambda: _set_umask(umask))
    assert ran.code == 0, str(ran)
    assert ran.folder is not None
    assert stat.S_IMODE(ran.folder.stat().st_mode) == folder
    modes = {
        path.relative_to(ran.folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in ran.folder.rglob("*")
    }
    assert {name: oct(mode) for name, mode in modes.items() if mode not in (folder, file)} == {}
    restrict(ran.folder)
