"""Live pages without a browser: who sees what, for how long, and by which rules of the browser they are shown."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.serve.live_session import COOKIE, LASTS, LONGEST
from tests.support.gate_server import ADMIN, GateProject, LiveGate, plain, served, tokens_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

NOW: Final = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


def started(live: LiveGate, checksum: str = "c1", target: str = "prod") -> str:
    """A run that waits for its decision; its id."""
    body = {"stage": "staging", "target": target, "release": {"name": "judgment", "checksum": checksum}}
    return str(live.call("POST", "/v1/runs", body).json()["id"])


@contextmanager
def logged_in(live: LiveGate, token: str = ADMIN) -> Iterator[httpx.Client]:
    """A client with a session."""
    with live.client(None) as client:
        answer = client.post("/live/login", json={"token": plain(token)})
        assert answer.status_code == 204, answer.text
        yield client


def test_the_page_holds_nothing_of_a_run(live: LiveGate) -> None:
    """It is the same for a run that is there and for one that is not, and needs no token."""
    pages = {live.call("GET", f"/live/{run}", token=None).text for run in (started(live), "none")}
    assert len(pages) == 1


def test_nothing_is_shown_without_a_session(live: LiveGate) -> None:
    """Neither the run nor its evidence; and the API's token in a header is none, nor is a session one for the API."""
    run = started(live)
    for part in ("now", "verdict", "evidence"):
        for token in (None, "admin"):
            answer = live.call("GET", f"/live/{run}/{part}", token=token)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    with logged_in(live) as client:
        assert client.get(f"/live/{run}/now").status_code == 200
        assert client.get(f"/v1/runs/{run}").status_code == 401
        session = client.cookies[COOKIE]
        assert client.get(f"/v1/runs/{run}", headers={"Authorization": f"Bearer {session}"}).status_code == 401
        assert client.post("/live/login", json={"token": session}).status_code == 401


@pytest.mark.parametrize(("token", "status"), [("admin", 200), ("approver", 200), ("reader", 404)])
def test_scopes_are_those_of_the_token(live: LiveGate, token: str, status: int) -> None:
    """A run of another stage or target is no run."""
    with logged_in(live, token) as client:
        assert client.get(f"/live/{started(live)}/now").status_code == status


def test_a_token_that_may_not_read_has_no_session(live: LiveGate) -> None:
    """A hook's token, an unknown one, a form of another site, and too much."""
    url = "/live/login"
    with live.client(None) as client:
        assert client.post(url, json={"token": plain("hooks")}).status_code == 403
        assert client.post(url, json={"token": "ovs_unknown"}).status_code == 401
        assert client.post(url, data={"token": plain("admin")}).status_code == 415
        assert client.post(url, json={"token": "x" * (64 << 10)}).status_code == 413
        assert client.post(url, json={"token": 1}).status_code == 400
        assert not client.cookies


def test_a_session_ends_with_its_token(project: GateProject) -> None:
    """Taken out of the file, replaced by one of the same name, or expired: at once."""
    tokens = project.folder / "tokens.toml"
    with served(project) as live:
        run = started(live)
        for text in (
            tokens_text().replace('name = "admin"', 'name = "other"'),
            tokens_text().replace(_sum_of("admin"), "0" * 64),
            tokens_text(expires="2020-01-01T00:00:00Z"),
            "damaged",
        ):
            tokens.write_text(tokens_text(), encoding="utf-8")
            with logged_in(live) as client:
                assert client.get(f"/live/{run}/now").status_code == 200
                tokens.write_text(text, encoding="utf-8")
                assert client.get(f"/live/{run}/now").status_code == 401


def _sum_of(token: str) -> str:
    part = tokens_text().partition(f'name = "{token}"')[2]
    return part.partition('sha256 = "')[2].partition('"')[0]


def test_a_session_lasts_while_its_page_looks(live: LiveGate) -> None:
    """An hour without a look ends it; with looks it goes on, for twelve hours at most."""
    live.now = NOW
    run = started(live)
    with logged_in(live) as client, logged_in(live) as idle:
        while live.now < NOW + LONGEST:
            assert client.get(f"/live/{run}/now").status_code == 200
            live.now += LASTS * 0.9
        assert client.get(f"/live/{run}/now").status_code == 401
        live.now = NOW + LASTS
        assert idle.get(f"/live/{run}/now").status_code == 401


def test_a_session_is_the_servers_own(project: GateProject) -> None:
    """Altered, signed by another server, or made up: none."""
    with served(project) as live:
        run = started(live)
        with logged_in(live) as client:
            session = client.cookies[COOKIE]
            head, claims, signature = session.split(".")
            for made_up in (f"{head}.{claims}.", f"{head}.{claims}.{signature[::-1]}", "eyJhbGciOiJub25lIn0.e30.", "x"):
                answer = live.call("GET", f"/live/{run}/now", token=None, Cookie=f"{COOKIE}={made_up}")
                assert answer.status_code == 401
    with served(project) as live:
        assert live.call("GET", f"/live/{run}/now", token=None, Cookie=f"{COOKIE}={session}").status_code == 401


@pytest.mark.parametrize(("host", "secure"), [("127.0.0.1", False), ("localhost:8470", False), ("gate.example", True)])
def test_a_cookie_never_goes_over_a_network_in_the_clear(live: LiveGate, host: str, secure: bool) -> None:  # noqa: FBT001 - a parameter
    """`Secure` for every name but this machine's, whether TLS ends here or at an ingress; never for scripts."""
    answer = live.call("POST", "/live/login", {"token": plain("admin")}, token=None, Host=host)
    cookie = answer.headers["set-cookie"]
    assert ("; Secure" in cookie) == secure
    assert "; HttpOnly" in cookie
    assert "; SameSite=strict" in cookie
    assert "; Path=/live;" in cookie


def test_rules_of_the_page(live: LiveGate) -> None:
    """Nothing from elsewhere, no script but its own, in no frame, kept nowhere, no address told to others."""
    run = started(live)
    with logged_in(live) as client:
        for answer in (client.get(f"/live/{run}"), client.get(f"/live/{run}/now")):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
            assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")


@pytest.mark.parametrize(
    ("query", "accepted", "korean"),
    [
        ("", "", False),
        ("", "ko-KR,ko;q=0.9,en;q=0.5", True),
        ("", "fr, en;q=0.3, ko;q=0.8", True),
        ("", "ko;q=x, de", False),
        ("?language=ko", "en", True),
        ("?language=en", "ko", False),
    ],
)
def test_the_language(live: LiveGate, query: str, accepted: str, korean: bool) -> None:  # noqa: FBT001 - a parameter
    """The address's, else the browser's, else the target's, which is English here."""
    run = started(live)
    with logged_in(live) as client:
        answer = client.get(f"/live/{run}/now{query}", headers={"Accept-Language": accepted})
        assert ("진행 중" in answer.text) == korean
        assert client.get(f"/live/{run}/now?language=fr").status_code == 400


def test_a_run_that_was_decided(live: LiveGate, project: GateProject) -> None:
    """Decision and reasons, and no picture of what no verdict of this run was sealed with."""
    run = started(live)
    (project.settings.folder_of(run)).mkdir(parents=True)
    with logged_in(live) as client:
        assert client.get(f"/live/{run}/now").headers["opsverify-run-state"] == "running"
        project.decide("c1", 1)
        live.ended(run)
        answer: Any = client.get(f"/live/{run}/now?language=en")
    assert answer.headers["opsverify-run-state"] == "finished"
    assert "ROLLBACK" in answer.text
    assert "exit code 1" in answer.text
    assert "<figure" not in answer.text
