"""OIDC jobs: a verified token is a job of the rule that it matches, for what the rule says, and it approves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from opsverify.errors import TargetError
from opsverify.serve.bodies import DecisionBody
from opsverify.serve.caller import Caller
from opsverify.serve.declined import Declined
from opsverify.serve.gate_run import RunState
from opsverify.serve.tokens import Tokens
from tests.support.gate_server import LiveGate, tokens_text, until
from tests.support.oidc_issuer import AUDIENCE, CLAIMS, OidcIssuer
from tests.support.oidc_jobs import RUN, call, problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.gate_server import GateProject

WHO: Final = {"who": "Kim, release manager", "why": "known outage of the mail relay"}


def test_a_job_starts_a_run_and_reads_it(gate: LiveGate, issuer: OidcIssuer, project: GateProject) -> None:
    """Its starter is the rule and the job; a second token of the same job joins the run; keys are read once."""
    project.decide("c1", 0)
    started = call(gate, issuer.token(), "POST", body=RUN)
    assert started.status_code == 202
    assert started.json()["started_by"] == f"github:{CLAIMS['sub']}"
    gate.ended(started.json()["id"])
    assert call(gate, issuer.token(), "POST", body=RUN).json()["id"] == started.json()["id"]
    assert call(gate, issuer.token(), path=f"/v1/runs/{started.json()['id']}").json()["answer"] == "promote"
    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_a_curve_signs_too_and_so_does_a_list_of_one_audience(gate: LiveGate, issuer: OidcIssuer) -> None:
    """ES256, beside RS256."""
    issuer.add_curve("k2")
    assert call(gate, issuer.token("k2", "ES256", aud=[AUDIENCE])).status_code == 200


def test_a_jwks_url_needs_no_discovery(gate: LiveGate, issuer: OidcIssuer, project: GateProject) -> None:
    """An issuer that is not reachable by its own name, with keys that are."""
    rule = issuer.rule(issuer='"https://issuer.invalid"', jwks_url=f'"{issuer.url}/jwks"')
    (project.folder / "tokens.toml").write_text(rule, encoding="utf-8")
    assert call(gate, issuer.token(iss="https://issuer.invalid")).status_code == 200
    assert issuer.asked == ["/jwks"]


@pytest.mark.parametrize(
    ("claims", "token", "status"),
    [
        ('repository = "acme/judgment"\nref = "refs/heads/main"', {}, 200),
        ('repository = "acme/judgment"\nref = "refs/heads/release/*"', {"ref": "refs/heads/release/41"}, 200),
        ('repository = ["acme/other", "acme/judgment"]', {}, 200),
        ('repository = "acme/*"', {}, 200),
        ('repository = "acme/*"', {"repository": "acme-evil/judgment"}, 403),
        ('repository = "acme/judgment"', {"repository": "acme/judgment2"}, 403),
        ('repository = "acme/judgment"', {"repository": "Acme/judgment"}, 403),
        ('repository = "acme/judgment"\nref = "refs/heads/main"', {"ref": "refs/heads/main2"}, 403),
        ('repository = "acme/judgment"\nref = "refs/heads/main"', {"ref": None}, 403),
        ('repository = "acme/judgment"\nref = "*"', {"ref": None}, 403),
        ('repository = "acme/judgment"\nref = "*"', {"ref": ["refs/heads/main"]}, 403),
        ("repository_id = 7", {"repository_id": 7}, 200),
        ("repository_id = 7", {"repository_id": "7"}, 403),
        ('repository_id = "7"', {"repository_id": 7}, 403),
        ("project_id = 1", {"project_id": True}, 403),
        ('project_path = "acme/judgment"\nref_protected = "true"', {"project_path": "acme/judgment"}, 403),
        (
            'project_path = "acme/judgment"\nref_protected = "true"',
            {"project_path": "acme/judgment", "ref_protected": "true"},
            200,
        ),
    ],
)
def test_every_claim_of_a_rule_must_match(
    gate: LiveGate, issuer: OidcIssuer, project: GateProject, claims: str, token: dict[str, Any], status: int
) -> None:
    """Exactly or by pattern, in its own type; a valid token that matches no rule is 403."""
    (project.folder / "tokens.toml").write_text(issuer.rule(claims=claims), encoding="utf-8")
    answer = call(gate, issuer.token(**token))
    assert answer.status_code == status, answer.text
    if status == 403:
        assert CLAIMS["sub"] in problem(answer, 403)


def test_the_first_rule_that_matches_counts(gate: LiveGate, issuer: OidcIssuer, project: GateProject) -> None:
    """With its own audience, stages, targets and actions."""
    rules = (
        issuer.rule("main", claims='repository = "acme/judgment"\nref = "refs/heads/main"'),
        issuer.rule("branches", may='["read"]', targets='["staging"]'),
        issuer.rule("elsewhere", audience='"other"', claims='repository = "acme/*"'),
    )
    (project.folder / "tokens.toml").write_text("\n".join(rules), encoding="utf-8")
    assert call(gate, issuer.token(), "POST", body=RUN).json()["started_by"].startswith("main:repo:")
    branch = issuer.token(ref="refs/heads/x")
    assert "may not run" in problem(call(gate, branch, "POST", body=RUN), 403)
    assert call(gate, branch).json() == {"runs": []}
    problem(call(gate, issuer.token(aud="other", repository="zebra/x")), 403)
    problem(call(gate, issuer.token(repository="acme/x")), 403)
    assert call(gate, issuer.token(aud="other", repository="acme/x")).status_code == 200
    project.decide("c1", 1)


def test_a_job_is_for_its_stages_and_targets(gate: LiveGate, issuer: OidcIssuer) -> None:
    """Others are refused, also over a hook; a token of the file is valid beside it."""
    problem(call(gate, issuer.token(), "POST", body={**RUN, "target": "staging"}), 403)
    problem(call(gate, issuer.token(), "POST", body={**RUN, "stage": "daily"}), 403)
    hook = {"name": "judgment", "checksum": "c2"}
    problem(call(gate, issuer.token(), "POST", "/v1/hooks/argo/prod-canary/staging", hook), 403)
    assert call(gate, issuer.token(), "POST", "/v1/hooks/argo/prod-canary/prod", hook).json()["answer"] == "running"
    assert gate.call("GET", "/v1/runs").status_code == 200


def test_a_job_in_an_address_is_nobody(gate: LiveGate, issuer: OidcIssuer) -> None:
    """Flagger's path takes tokens of the file only: what is in an address is kept by proxies."""
    flagger = {"name": "judgment", "namespace": "prod", "checksum": "c1"}
    path = f"/v1/hooks/flagger/{issuer.token()}/prod-canary/prod/confirm-promotion"
    problem(call(gate, issuer.token(), "POST", path, flagger), 401)


def test_a_job_never_approves(gate: LiveGate, issuer: OidcIssuer, project: GateProject) -> None:
    """Not its own hold, not another's, and it retires none; a person with a token does."""
    project.decide("c1", 10)
    run = call(gate, issuer.token(), "POST", body=RUN).json()
    gate.ended(run["id"])
    for sub in (CLAIMS["sub"], "repo:acme/judgment:environment:production"):
        for what in ("approval", "retire"):
            path = f"/v1/runs/{run['id']}/{what}"
            assert "may not approve" in problem(call(gate, issuer.token(sub=sub), "POST", path, WHO), 403)
    held = gate.gate.store.get(run["id"])
    assert held
    anything = Caller("x:y", frozenset({"approve"}), frozenset({"*"}), frozenset({"*"}), is_job=True)
    with pytest.raises(Declined, match="a job never approves"):
        gate.gate.approve(held, DecisionBody(**WHO), anything)
    assert gate.run(run["id"])["answer"] == "hold"
    assert gate.call("POST", f"/v1/runs/{run['id']}/approval", WHO, "approver").json()["answer"] == "promote"


def test_no_part_of_a_token_is_kept_or_shown(
    gate: LiveGate, issuer: OidcIssuer, project: GateProject, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither header, claims nor signature, of valid tokens and others, in files, log and answers."""
    caplog.set_level("DEBUG")
    project.decide("c1", 0)
    stranger = OidcIssuer(issuer.url)
    stranger.add("k1")
    tokens = [issuer.token(), issuer.token(exp=1), issuer.token(repository="acme/x"), stranger.token()]
    answers = [call(gate, token, "POST", body=RUN).text for token in tokens]
    until(lambda: not gate.gate.store.in_state(RunState.RUNNING), "the end")
    kept = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    shown = "\n".join([*answers, *(record.getMessage() for record in caplog.records)])
    for part in {part for token in tokens for part in token.split(".")}:
        assert part.encode() not in kept
        assert part not in shown


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"may": '["run", "approve"]'}, "never approves"),
        ({"may": '["everything"]'}, "everything"),
        ({"stages": '["nightly"]'}, "nightly"),
        ({"issuer": '"http://issuer.example.com"'}, "https URL"),
        ({"issuer": '"http://127.example.com"'}, "https URL"),
        ({"issuer": '"issuer.example.com"'}, "https URL"),
        ({"issuer": '"https://user:word@issuer.example.com"'}, "https URL"),
        ({"jwks_url": '"http://192.0.2.1/jwks"'}, "https URL"),
        ({"audience": '""'}, "audience"),
        ({"proxy": '"socks"'}, "proxy"),
        ({"claims": ""}, "name no owner"),
        ({"claims": 'ref = "refs/heads/main"'}, "name no owner"),
        ({"claims": 'repository = "*"'}, "name no owner"),
        ({"claims": 'repository = "*/judgment"'}, "name no owner"),
        ({"claims": 'repository = ["acme/judgment", "a*/judgment"]'}, "name no owner"),
        ({"claims": "repository = []"}, "name no owner"),
        ({"claims": 'sub = "repo:*"'}, "name no owner"),
        ({"name": "admin"}, "one name"),
        ({"secret": '"s"'}, "secret"),
    ],
)
def test_a_rule_that_would_let_strangers_in_is_no_rule(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    """The file is refused with what is wrong in it."""
    path = tmp_path / "tokens.toml"
    issuer = OidcIssuer(url="https://issuer.example.com")
    path.write_text(f"{tokens_text()}\n{issuer.rule()}", encoding="utf-8")
    assert [rule.name for rule in Tokens(path).rules()] == ["github"]
    path.write_text(f"{tokens_text()}\n{issuer.rule(**changed)}", encoding="utf-8")
    with pytest.raises(TargetError, match=said):
        Tokens(path)


def test_the_rules_of_one_issuer_have_one_source_of_keys(tmp_path: Path) -> None:
    """Which keys verify a token does not depend on the order of rules."""
    path = tmp_path / "tokens.toml"
    issuer = OidcIssuer(url="https://issuer.example.com")
    rules = [issuer.rule(), issuer.rule("other", jwks_url='"https://issuer.example.com/jwks"')]
    path.write_text("\n".join(rules), encoding="utf-8")
    with pytest.raises(TargetError, match="differ in jwks_url"):
        Tokens(path)
