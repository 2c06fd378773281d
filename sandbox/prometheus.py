"""Prometheus and Alertmanager: scrape and evaluate every second, alerts go to the inbox."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsverify.language.message import say
from sandbox import metrics_past, network
from sandbox.home import PODS, write_atomic
from sandbox.processes import died, wait_until
from sandbox.servers import servers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started

_TEMPLATES = Path(__file__).parent / "templates"
_START_DEADLINE_S = 60
_NO_RULES = "groups: []\n"
_WRONG_RULES = """
      - alert: NeverExported
        expr: sum(rate(judgment_requests_failed_total[8s])) > 1
        labels: {severity: sev2, team: nobody}
      - alert: FailsToEvaluate
        expr: up / on () up > 0
        labels: {severity: sev2}
"""


class Monitoring:
    """Prometheus and Alertmanager of one sandbox; `table` keeps them."""

    def __init__(self, settings: Settings, table: Table, templates: Path = _TEMPLATES) -> None:
        self._past = templates == _TEMPLATES  # other platforms have no such metrics, and no pods
        self._settings = settings
        self._templates = templates
        self._table = table
        self._servers = servers_of(settings, table)
        self._folder = settings.data_dir / "prometheus"
        self._port = settings.ports["prometheus"]
        self._pods = self._folder / "canary.json"

    def start_alertmanager(self) -> Started:
        """Start Alertmanager without waiting for it."""
        folder = self._settings.data_dir / "alertmanager"
        folder.mkdir(exist_ok=True)
        config = folder / "alertmanager.yml"
        config.write_text(self._filled("alertmanager.yml"), encoding="utf-8")
        return self._servers.start(
            "alertmanager",
            "alertmanager",
            [
                f"--config.file={config}",
                f"--storage.path={folder}",
                f"--web.listen-address=127.0.0.1:{self._settings.ports['alertmanager']}",
                "--cluster.listen-address=",
            ],
            log=self._log("alertmanager"),
        )

    def start_prometheus(self, progress: Callable[[str], None]) -> Started:
        """Start Prometheus without waiting for it; series of an earlier start are kept."""
        self._folder.mkdir(exist_ok=True)
        (self._folder / "prometheus.yml").write_text(self._filled("prometheus.yml"), encoding="utf-8")
        self._write_rules(self._filled("rules.yml"))
        if self._past and not self._pods.exists():
            self._write_pods(PODS[:1])
        if self._past and not (self._folder / "tsdb").exists():
            (self._folder / "tsdb").mkdir()
            if not metrics_past.write(self._servers, self._folder / "tsdb"):
                progress(
                    say(
                        "promtool is not beside prometheus, or wrote nothing: storage has no past, "
                        "its weekly check holds"
                    )
                )
        return self._servers.start(
            "prometheus",
            "prometheus",
            [
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'tsdb'}",
                "--storage.tsdb.retention.time=40d",
                # An alert that Prometheus cannot end itself (it was stopped) ends after 4 of these, not after minutes.
                "--rules.alert.resend-delay=1s",
                # It first scrapes 10 s after its start otherwise: a short outage would be none.
                "--scrape.discovery-reload-interval=1s",
                f"--web.listen-address=127.0.0.1:{self._port}",
            ],
            log=self._log("prometheus"),
        )

    def wait(self, name: str, running: Started) -> None:
        """Wait until `name` (prometheus, alertmanager) is ready."""
        port = self._settings.ports[name]
        wait_until(
            lambda: network.is_ok(port, "/-/ready"), _START_DEADLINE_S, say("{name} to be ready", name=name),
            lambda: died(name, running, self._log(name)),
        )  # fmt: skip

    def wait_scraped(self) -> None:
        """Wait until every target was scraped and every rule evaluated."""
        wait_until(self._scraped, _START_DEADLINE_S, say("Prometheus to scrape all targets"))

    def wait_missed(self, service: str) -> None:
        """Wait until the scrape target of a service that was stopped is found to be down."""
        address = f"127.0.0.1:{self._settings.ports[service]}"

        def missed() -> bool:
            return any(
                target["health"] == "down" and target["discoveredLabels"]["__address__"] == address
                for target in self._targets()
            )

        if self._table.alive("prometheus") is not None:
            wait_until(missed, _START_DEADLINE_S, say("Prometheus to miss {service}", service=service))

    def scrape_pods(self, pods: Collection[str]) -> None:
        """Let service discovery find exactly these pods of the canary; wait until each was scraped, and no other is."""
        self._write_pods(pods)
        if self._table.alive("prometheus") is not None:
            wait_until(self._pods_scraped, _START_DEADLINE_S, say("Prometheus to scrape {pods}", pods=", ".join(pods)))

    def set_rules(self, *, present: bool, wrong: bool = False) -> None:
        """Load the alert rules, or none, with some that are wrong or without; wait until it is so."""
        rules = self._filled("rules.yml") if present else _NO_RULES
        self._write_rules(rules + _WRONG_RULES if wrong else rules)
        running = self._table.alive("prometheus")

        def loaded() -> bool:
            found = self._rules()
            if found is None:
                return False
            # Those that were loaded a moment ago are not evaluated yet: a run that begins now would hold for it.
            states = [rule["health"] for rule in found]
            return bool(states) == present and ("err" in states) == wrong and "unknown" not in states

        if running is not None:
            running.send(signal.SIGHUP)
            wait_until(loaded, _START_DEADLINE_S, say("Prometheus to reload its rules"))

    def _scraped(self) -> bool:
        targets, rules = self._targets(), self._rules()
        return (
            bool(targets and rules)
            and all(target["health"] == "up" for target in targets)
            and all(rule["health"] == "ok" for rule in rules or ())
            and self._pods_scraped()
        )

    def _pods_scraped(self) -> bool:
        """Whether the canary's pods are scraped, each of them and no other one."""
        if not self._past:
            return True
        expected = {
            group["labels"].get("instance", address)
            for group in json.loads(self._pods.read_text())
            for address in group["targets"]
        }
        of_canary = [target for target in self._targets() if target["labels"].get("track") == "canary"]
        return {target["labels"]["instance"] for target in of_canary if target["health"] == "up"} == expected and len(
            of_canary
        ) == len(expected)

    def _targets(self) -> list[dict[str, Any]]:
        reply = network.get_json(self._port, "/api/v1/targets?state=active")
        return reply["data"]["activeTargets"] if reply else []

    def _write_pods(self, pods: Collection[str]) -> None:
        groups = [
            {
                "targets": [f"127.0.0.1:{self._settings.ports[pod]}"],
                "labels": {"track": "canary", **self._own_name(pod)},
            }
            for pod in pods
        ]
        write_atomic(self._pods, json.dumps(groups), mode=0o644)

    def _own_name(self, pod: str) -> dict[str, str]:
        """The name of a pod that comes and goes: its port was another pod's before, which did not restart."""
        running = self._table.alive(pod) if pod not in PODS[:1] else None
        return {"instance": f"{pod}-{running.mark}"} if running else {}

    def _rules(self) -> list[dict[str, str]] | None:
        """Every rule; None without an answer, which does not say that there are none."""
        reply = network.get_json(self._port, "/api/v1/rules")
        return [rule for group in reply["data"]["groups"] for rule in group["rules"]] if reply else None

    def _write_rules(self, text: str) -> None:
        (self._folder / "rules.yml").write_text(text, encoding="utf-8")

    def _filled(self, template: str) -> str:
        text = (self._templates / template).read_text(encoding="utf-8")
        for service, port in self._settings.ports.items():
            text = text.replace(f"@{service}@", str(port))
        return text

    def _log(self, name: str) -> Path:
        return self._settings.logs_dir / f"{name}.log"
