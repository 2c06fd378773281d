"""A machine that cannot reach a component measured nothing of it: a hold. A component that is down is a failure."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.errors import Peer
from opsverify.probes.way import missing_way, peers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.pytest_plugin.suite import Suite

ELSEWHERE: Final = "192.0.2.9"
"""Of nobody (RFC 5737, section 3)."""
NO_NETWORK: Final = ("unshare", "--net")
CHECK: Final = """
from opsverify.probes.http import Http

@described("t.case")
def test_case(check):
    with check.must_answer("judgment"):
        Http(timeout_s=60, proxy="PROXY").get("http://HOST/health")
"""


def _without_network() -> bool:
    """Whether a process can be started that has no network."""
    return bool(shutil.which("unshare")) and not subprocess.run([*NO_NETWORK, "true"], check=False).returncode


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (ELSEWHERE, f"has no route to {ELSEWHERE} ([Errno 101] Network is unreachable); check its network"),
        ("judgment.example.com", "cannot look up judgment.example.com"),
    ],
)
def test_a_machine_without_network_holds(suite: Suite, host: str, why: str) -> None:
    """A runner whose network is down rolls nothing back; an auditor reads what it lacked."""
    if not _without_network():
        pytest.skip("no network namespaces here: needs unshare --net")
    suite.checks("case", CHECK.replace("HOST", host).replace("PROXY", "none"))
    ran = suite.ended(suite.start([*NO_NETWORK, *suite.command("cli")]))
    assert ran.code == 10, ran
    assert ran.outcomes["t.case"] == "inconclusive"
    assert f"judgment: not measured: this machine {why}" in ran.reasons


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that refuses: it is bound, so that nobody else gets it, and nobody listens."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


def test_a_proxy_that_is_down_holds(suite: Suite, refusing: int) -> None:
    """What lies behind it was not asked."""
    suite.checks("case", CHECK.replace("HOST", ELSEWHERE).replace("PROXY", f"http://127.0.0.1:{refusing}"))
    ran = suite.run()
    assert (ran.code, ran.outcomes["t.case"]) == (10, "inconclusive"), ran
    assert f"judgment: not measured: the proxy 127.0.0.1:{refusing} takes no connection" in ran.reasons


def test_a_service_that_is_down_fails(suite: Suite, refusing: int) -> None:
    """It refuses: this machine has a way to it, and that is measured."""
    suite.checks("case", CHECK.replace("HOST", f"127.0.0.1:{refusing}").replace("PROXY", "none"))
    ran = suite.run()
    assert (ran.code, ran.outcomes["t.case"]) == (1, "fail"), ran


def test_a_peer_of_several_that_can_be_reached(refusing: int) -> None:
    """One way is enough; without a known peer the component is what gives no answer."""
    here, down = Peer("127.0.0.1", refusing), Peer("127.0.0.1", refusing, proxy=True)
    assert missing_way([here, down]) is None
    assert missing_way([]) is None
    assert str(missing_way([down, down])).startswith(f"the proxy 127.0.0.1:{refusing} takes no connection")


def test_a_name_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that is away is this machine's; a name that does not exist is not."""
    for code, lacking in ((socket.EAI_AGAIN, True), (socket.EAI_NONAME, False)):

        def failing(*_: object, code: int = code, **__: object) -> None:
            raise socket.gaierror(code, "lookup failed")

        monkeypatch.setattr(socket, "getaddrinfo", failing)
        assert (missing_way([Peer("judgment.example.com", 443)]) is not None) == lacking


@pytest.mark.parametrize(
    ("url", "proxy", "peers"),
    [
        ("http://a/health", None, (Peer("a", 80),)),
        ("https://a/health", None, (Peer("a", 443),)),
        ("https://[::1]:8443/", None, (Peer("::1", 8443),)),
        ("https://a/", "http://user:word@proxy.example.com:3128", (Peer("proxy.example.com", 3128, proxy=True),)),
        ("https://a/", "socks5://proxy.example.com", (Peer("proxy.example.com", 1080, proxy=True),)),
        ("http://a:port/", None, ()),
        ("", None, ()),
    ],
)
def test_where_a_request_connects_to(url: str, proxy: str | None, peers: tuple[Peer, ...]) -> None:
    """The proxy where there is one, the port of the scheme where none is named."""
    assert peers_of(url, proxy) == peers
