"""Journey runner: runs the steps of a smoke journey under a tag, by which everything it wrote is removed."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import in_language, say
from opsverify.limits import Limit
from opsverify.probes.eventually import eventually
from opsverify.probes.record import discard
from opsverify.smoke.tags import new_tag
from opsverify.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.config.model import Target
    from opsverify.core.check import Check
    from opsverify.metrics.lookback import Lookback
    from opsverify.probes.alertmanager import Alertmanager
    from opsverify.probes.inbox import Inbox
    from opsverify.probes.mcp import Mcp
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.services import Services
    from opsverify.smoke.journeys import Agreement, HttpRequest, Journey, JourneyStep, ToolCall

_NAME = re.compile(r"\$\{(\w+)\}")


def require_permission(target: Target, journey: Journey) -> None:
    """Raise Inconclusive where a journey would write and the target does not allow that, or could not clean up."""
    synthetic = target.synthetic
    if not journey.writes:
        return
    if not synthetic.allowed:
        raise Inconclusive(
            say(
                "journey {name} writes synthetic data, which the target does not allow; set "
                "synthetic.allowed, or run it by hand",
                name=journey.name,
            )
        )
    if synthetic.cleanup is None or not synthetic.tables:
        raise Inconclusive(
            say(
                "journey {name} writes synthetic data that nothing would remove; set synthetic.cleanup and "
                "synthetic.tables",
                name=journey.name,
            )
        )


@dataclass
class JourneyRunner:
    """One running journey: its probes, its tag, and the values kept from earlier steps."""

    check: Check
    services: Services
    postgres: Callable[[], Postgres]
    prometheus: Callable[[], Prometheus]
    lookback: Callable[[], Lookback]
    alertmanager: Callable[[], Alertmanager]
    inbox: Callable[[], Inbox]
    mcp: Callable[[str], Mcp]
    tag: str = field(default_factory=new_tag)
    kept: dict[str, Any] = field(default_factory=dict)
    at_start: dict[str, float] = field(default_factory=dict)
    alerts: list[dict[str, str]] = field(default_factory=list)
    running: bool = False

    @property
    def finished(self) -> bool:
        """Whether every step so far has ended, with its expected result."""
        return not self.running and all(measurement.holds for measurement in self.check.measurements)

    def __post_init__(self) -> None:
        today = dt.datetime.now(dt.UTC).date()
        self.kept |= {
            "tag": self.tag,
            "uuid": str(uuid.uuid4()),
            "yesterday": str(today - dt.timedelta(days=1)),
            "week_ago": str(today - dt.timedelta(days=7)),
        }

    def read_signals(self, steps: tuple[JourneyStep, ...]) -> None:
        """Read the counters of the steps of kind `moved`, before anything is sent."""
        for step in steps:
            if step.moved is not None:
                self.at_start[step.moved] = self._counter(step.moved)

    def run_step(self, step: JourneyStep) -> bool:
        """Run one step and measure its result on the check. False where the next steps would prove nothing."""
        self.running = True
        with self.check.step(in_language(step.name, self.check.target.language)):
            if step.request is not None:
                self._request(step, step.request)
            elif step.sql is not None:
                self._sql(step, step.sql)
            elif step.inbox is not None:
                self._inbox(step, str(self._substituted(step.inbox)))
            elif step.moved is not None:
                self._moved(step, step.moved)
            elif step.alert is not None:
                self._alert(self._substituted(step.alert))
                self.check.expect(say("alert accepted by Alertmanager"), value=True, expected=True)
            elif step.tool is not None:
                self._tool(step.tool)
            elif step.agree is not None:
                self._agreement(step.agree)
        self.running = False
        return self.finished

    def _request(self, step: JourneyStep, request: HttpRequest) -> None:
        with self.check.must_answer(say("{method} {path}", method=request.method, path=request.path)):
            reply = self.services.request(
                request.method,
                request.service,
                str(self._substituted(request.path)),
                json=self._substituted(request.body),
                headers={self.check.target.synthetic.header: self.tag},
            )
        if not self.check.expect(say("HTTP status"), reply.status, step.status):
            self.check.fail(
                say(
                    "{method} {path} returned HTTP {status}, expected {expected}: {reply}",
                    method=request.method,
                    path=request.path,
                    status=reply.status,
                    expected=step.status,
                    reply=reply.text[:160],
                )
            )
        self._expect(step, {name: reply.field(name) for name in step.expect})
        self.kept |= {name: reply.field(path) for name, path in step.keep.items()}

    def _alert(self, labels: dict[str, str]) -> None:
        with self.check.must_answer(say("Alertmanager")):
            self.alertmanager().post(labels, lasting_s=self.check.limits.journey_wait.bound)
        self.alerts.append(labels)

    def end_alerts(self) -> None:
        """End the synthetic alerts that were posted to Alertmanager."""
        for labels in self.alerts:
            self.alertmanager().post(labels, lasting_s=0)

    def _sql(self, step: JourneyStep, sql: str) -> None:
        expected = self._substituted(step.expect)
        query = _NAME.sub(r"%(\1)s", sql)
        parameters = {name: self._value(name) for name in _NAME.findall(sql)}

        postgres = self.postgres().recording(discard)  # one attachment for all attempts is enough

        def first_row() -> Mapping[str, Any]:
            rows = postgres.rows(query, **parameters)
            return rows[0]._asdict() if rows else {}

        row = eventually(
            first_row,
            until=lambda found: all(found.get(name) == value for name, value in expected.items()),
            stop_when=lambda found: any(found.get(name) in values for name, values in step.ends.items()),
            deadline_s=self._deadline_s(step),
            record=self.check.attach,
            what=step.name,
        )
        self.check.attach("SQL and row", f"{sql.strip()}\n\n{parameters}\n\n{dict(row)}")
        for name, value in expected.items():
            self.check.expect(name, row.get(name, "no such row"), value)

    def _inbox(self, step: JourneyStep, text: str) -> None:
        messages = eventually(
            lambda: self.inbox().messages(text),
            until=bool,
            deadline_s=self._deadline_s(step),
            record=self.check.attach,
            what=step.name,
        )
        self.check.measure(
            say("notifications"), len(messages), Limit(">=", 1, "count"), of=say("notifications arrived")
        )

    def _moved(self, step: JourneyStep, signal: str) -> None:
        start = self.at_start[signal]
        grown = eventually(
            lambda: self._counter(signal) - start,
            until=lambda growth: growth >= step.by,
            deadline_s=self._deadline_s(step),
            record=self.check.attach,
            what=step.name,
        )
        self.check.measure(
            signal,
            grown,
            Limit(">=", step.by, "count"),
            of=say("counted by {signal} since the journey began", signal=signal),
        )

    def _tool(self, call: ToolCall) -> None:
        with self.check.must_answer(say("MCP tool {name}", name=call.name)):
            reply = self.mcp(call.server).call(call.name, self._substituted(call.arguments))
        self.check.expect(say("tool {name} failed", name=call.name), reply.is_error, expected=False)

    def _agreement(self, agreement: Agreement) -> None:
        growth = self.lookback().growth(agreement.signal)
        query = _NAME.sub(r"%(\1)s", agreement.sql)
        logged = self.postgres().row(query, since=growth.since, until=growth.until)[0]
        self.check.measure(
            say("difference"),
            abs(growth.value - logged),
            Limit("<=", agreement.tolerance, "count"),
            of=say("between metric ({growth:.0f}) and log ({logged})", growth=growth.value, logged=logged),
        )

    def _expect(self, step: JourneyStep, found: Mapping[str, Any]) -> None:
        for name, value in self._substituted(step.expect).items():
            self.check.expect(name, found[name], value)

    def _counter(self, signal: str) -> float:
        prometheus = self.check.target.prometheus
        selector = getattr(prometheus.signals, signal).selector() if prometheus else ""
        return sum(sample.value for sample in self.prometheus().current(selector).samples)

    def _deadline_s(self, step: JourneyStep) -> float:
        return parse_duration(step.within) if step.within else self.check.limits.journey_wait.bound

    def _value(self, name: str) -> Any:  # noqa: ANN401 - any value of a reply
        if name not in self.kept:
            raise Inconclusive(
                say(
                    "journey uses ${{{name}}}, which no earlier step keeps; kept: {kept}",
                    name=name,
                    kept=", ".join(self.kept),
                )
            )
        return self.kept[name]

    def _substituted(self, value: Any) -> Any:  # noqa: ANN401 - any TOML value
        if isinstance(value, str):
            whole = _NAME.fullmatch(value)
            return self._value(whole[1]) if whole else _NAME.sub(lambda match: str(self._value(match[1])), value)
        if isinstance(value, dict):
            return {key: self._substituted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._substituted(item) for item in value]
        return value
