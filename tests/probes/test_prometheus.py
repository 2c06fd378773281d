"""The Prometheus probe against a real server, and against a faulty one for every reason."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from opsverify.config.model import PrometheusConfig
from opsverify.errors import Inconclusive, Unreachable
from opsverify.probes.access import bearer_access
from opsverify.probes.eventually import eventually
from opsverify.probes.prometheus import FaultReason, Prometheus, SourceFault, Unanswered
from sandbox import binaries, network
from tests.probes.probe_servers import free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opsverify.probes.prometheus_values import ScrapeTarget
    from tests.probes.probe_servers import FakeServer, Recorder

CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 200ms}
rule_files: [rules.yml]
scrape_configs:
  - job_name: self
    static_configs: [{targets: ['127.0.0.1:PORT']}]
  - job_name: gone
    static_configs: [{targets: ['127.0.0.1:1']}]
"""
RULES = """
groups:
  - name: all
    rules:
      - alert: AlwaysOn
        expr: vector(1)
        labels: {severity: sev3, track: canary}
      - alert: NeverOn
        expr: vector(1) > 2
      - record: ones
        expr: vector(1)
        labels: {job: all}
"""
WHOLE = "count(ALERTS) + count(up) + count(ones)"
"""4 once the rules, of which `ones` comes last, and both jobs were evaluated and scraped."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real Prometheus that watches itself and a target that is down."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(CONFIG.replace("PORT", str(port)))
    (folder / "rules.yml").write_text(RULES)
    argv = [str(binaries.find(binaries.PROMETHEUS)), f"--config.file={folder}/prometheus.yml"]
    argv += [f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}"]

    def ready() -> bool:
        reply = network.get_json(port, f"/api/v1/query?query={quote(WHOLE)}") or {"data": {"result": []}}
        return bool(reply["data"]["result"]) and reply["data"]["result"][0]["value"][1] == "4"

    with running(argv, folder, ready):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def prometheus(url: str, recorder: Recorder) -> Iterator[Prometheus]:
    """Open a probe of the real server."""
    with Prometheus(PrometheusConfig(url=url, timeout_s=60), record=recorder) as probe:
        yield probe


def test_instant(prometheus: Prometheus, recorder: Recorder) -> None:
    """Series come with labels, value and time, and are recorded with the query."""
    vector = prometheus.instant('ones{job="all"}')
    (sample,) = vector.samples
    assert (sample.labels["job"], sample.value, vector.warnings) == ("all", 1.0, ())
    assert abs(sample.at - time.time()) < 60
    name, body, kind = recorder.kept[0]
    assert (name, kind) == ('PromQL ones{job="all"}', "json")
    assert '"value": "1.0"' in body


def test_instant_in_the_past_and_empty(prometheus: Prometheus) -> None:
    """Before anything was scraped there is no series: an empty vector, not an error."""
    vector = prometheus.instant("up", at=time.time() - 3600)
    assert vector.samples == ()
    assert vector.queried_at < time.time() - 3000


def test_numbers_that_are_none_stay_visible(prometheus: Prometheus) -> None:
    """NaN and infinity are the caller's to judge; as a scalar they are refused by name."""
    assert math.isnan(prometheus.instant("vector(0) / 0").samples[0].value)
    assert prometheus.instant("vector(1) / 0").samples[0].value == math.inf
    with pytest.raises(SourceFault, match="nan") as caught:
        prometheus.scalar("vector(0) / 0")
    assert caught.value.reason is FaultReason.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("query", "reason"),
    [("missing_metric", FaultReason.EMPTY), ("up", FaultReason.AMBIGUOUS), ("sum(", FaultReason.BAD_QUERY),
     ("up[1m]", FaultReason.MALFORMED)],
)  # fmt: skip
def test_scalar_faults(prometheus: Prometheus, query: str, reason: FaultReason) -> None:
    """No series, several, a query that does not parse, and one that gives ranges each have a name."""
    with pytest.raises(SourceFault) as caught:
        prometheus.scalar(query)
    assert caught.value.reason is reason
    assert not isinstance(caught.value, Unreachable)
    assert "\n" not in str(caught.value)


def test_scalar_and_now(prometheus: Prometheus) -> None:
    """One number, and the server's clock."""
    assert prometheus.scalar("count(up)") == 2
    assert abs(prometheus.now() - time.time()) < 60


def test_targets(prometheus: Prometheus) -> None:
    """A target that is down has its error."""

    def known() -> dict[str, ScrapeTarget]:
        return {target.job: target for target in prometheus.targets()}

    # A scrape that a busy machine did not finish within its second is down as well, until the next one.
    targets = eventually(
        known,
        lambda seen: seen["self"].health == "up" and "refused" in seen["gone"].last_error,
        deadline_s=60,
        what="scrapes of both targets",
    )
    assert targets["self"].health == "up"
    assert targets["gone"].health == "down"
    assert "refused" in targets["gone"].last_error
    assert targets["gone"].instance == targets["gone"].labels["instance"] == "127.0.0.1:1"


def test_rules(prometheus: Prometheus) -> None:
    """Alerting and recording rules with their state."""
    rules = {rule.name: rule for rule in prometheus.rules()}
    assert {name: rule.state for name, rule in rules.items()} == {
        "AlwaysOn": "firing",
        "NeverOn": "inactive",
        "ones": "",
    }
    assert {rule.health for rule in rules.values()} == {"ok"}


def test_rules_of_this_platform_alone(url: str) -> None:
    """Where Prometheus is shared, matchers select the platform's rules; matchers that select none are named."""
    with Prometheus(PrometheusConfig(url=url, timeout_s=60, alerting_rules='track="canary"')) as shared:
        assert [rule.name for rule in shared.rules()] == ["AlwaysOn"]
    with (
        Prometheus(PrometheusConfig(url=url, timeout_s=60, alerting_rules='team="billing"')) as other,
        pytest.raises(SourceFault, match=r'prometheus\.alerting_rules \(team="billing"\) selects none of 3') as caught,
    ):
        other.rules()
    assert caught.value.reason is FaultReason.EMPTY


def test_firing_alerts(prometheus: Prometheus) -> None:
    """Firing alerts with labels and start, chosen by matchers."""
    (alert,) = prometheus.firing_alerts('track="canary"')
    assert (alert.name, alert.state, alert.labels["severity"]) == ("AlwaysOn", "firing", "sev3")
    assert alert.active_since is not None
    assert abs(alert.active_since.timestamp() - time.time()) < 600
    assert prometheus.firing_alerts('track="stable"') == ()
    assert len(prometheus.firing_alerts()) == 1


def _vector(**more: object) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": []}, **more}


@pytest.fixture
def faulty(fake: FakeServer, recorder: Recorder) -> Iterator[Callable[..., Prometheus]]:
    """Open a probe of a fake server whose query endpoint answers as given."""
    with Prometheus(PrometheusConfig(url=fake.url, timeout_s=30), bearer_access("planted-bearer"), recorder) as probe:

        def answering(body: object, status: int = 200) -> Prometheus:
            fake.answer("/api/v1/query", body, status)
            fake.answer("/api/v1/rules", body, status)
            return probe

        yield answering


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("<html>login</html>", 200, FaultReason.MALFORMED),
        ("", 200, FaultReason.MALFORMED),
        ([], 200, FaultReason.MALFORMED),
        ({"status": "success"}, 200, FaultReason.MALFORMED),
        ({"data": {"resultType": "vector", "result": [{"metric": {}}]}}, 200, FaultReason.MALFORMED),
        (
            {"data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}},
            200,
            FaultReason.MALFORMED,
        ),
        ("bad gateway", 502, FaultReason.HTTP_ERROR),
        ("starting", 503, FaultReason.HTTP_ERROR),
        ("who are you", 401, FaultReason.HTTP_ERROR),
        ({"errorType": "bad_data", "error": "parse error"}, 400, FaultReason.BAD_QUERY),
        ({"errorType": "timeout", "error": "query timed out"}, 503, FaultReason.TIMEOUT),
        ({"errorType": "execution", "error": "many-to-many"}, 422, FaultReason.HTTP_ERROR),
    ],
)
def test_faulty_answers(
    faulty: Callable[..., Prometheus], recorder: Recorder, body: object, status: int, reason: FaultReason
) -> None:
    """Each way to answer wrongly has its name, is never taken for a number, and is recorded."""
    with pytest.raises(SourceFault) as caught:
        faulty(body, status).instant("up")
    assert caught.value.reason is reason
    assert not isinstance(caught.value, Unreachable)
    assert str(reason) in recorder.text
    assert "planted" not in str(caught.value) + recorder.text


def test_bearer_is_sent(faulty: Callable[..., Prometheus], fake: FakeServer) -> None:
    """The bearer travels in the header."""
    faulty(_vector()).instant("up")
    assert fake.seen[0][2]["Authorization"] == "Bearer planted-bearer"


def test_faulty_rules(faulty: Callable[..., Prometheus]) -> None:
    """The other endpoints have the same names for their faults."""
    for body, reason in (({"data": {}}, FaultReason.MALFORMED), ("oops", FaultReason.MALFORMED)):
        with pytest.raises(SourceFault) as caught:
            faulty(body).rules()
        assert caught.value.reason is reason
    with pytest.raises(SourceFault, match="status 500"):
        faulty("oops", 500).rules()


def test_partial_answers(faulty: Callable[..., Prometheus]) -> None:
    """A warning travels with the vector, and no scalar or alert list is made of a part."""
    sample = [{"metric": {}, "value": [1, "5"]}]
    body = _vector(warnings=["store gateway away"], data={"resultType": "vector", "result": sample})
    assert faulty(body).instant("up").warnings == ("store gateway away",)
    for ask in (lambda: faulty(body).scalar("up"), lambda: faulty(body).firing_alerts()):
        with pytest.raises(SourceFault, match="store gateway away") as caught:
            ask()
        assert caught.value.reason is FaultReason.PARTIAL_RESPONSE


def test_silence_is_unanswered(fake: FakeServer) -> None:
    """No answer in time, although the client library would wait for ever."""
    release = threading.Event()
    fake.routes["/api/v1/query"] = lambda _: release.wait(60)
    with (
        Prometheus(PrometheusConfig(url=fake.url, timeout_s=0.3)) as probe,
        pytest.raises(Unanswered) as caught,
    ):
        probe.instant("up")
    release.set()
    assert caught.value.reason is FaultReason.TIMEOUT


def test_refused_connection_is_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listening, without the library's three retries, before each of which it sleeps."""

    def slept(seconds: float) -> None:
        pytest.fail(f"slept {seconds} s")

    monkeypatch.setattr(time, "sleep", slept)
    with Prometheus(PrometheusConfig(url=f"http://127.0.0.1:{free_port()}")) as probe:
        for ask in (probe.rules, probe.now):
            with pytest.raises(Unreachable) as caught:
                ask()
            assert isinstance(caught.value, SourceFault)
            assert isinstance(caught.value, Inconclusive)
            assert caught.value.reason is FaultReason.UNREACHABLE


def test_views_share_connections(prometheus: Prometheus, recorder: Recorder) -> None:
    """A view records elsewhere over the same session."""
    elsewhere = type(recorder)()
    prometheus.recording(elsewhere).now()
    assert prometheus.recording(elsewhere)._session.requests is prometheus._session.requests
    assert (len(elsewhere.kept), len(recorder.kept)) == (1, 0)
