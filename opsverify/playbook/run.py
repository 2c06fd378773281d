"""Playbook run: fault, remedy and confirmation of one incident, measured on its checks."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opsverify.errors import Inconclusive
from opsverify.language.message import join, say
from opsverify.limits import NONE, Limit
from opsverify.metrics.coverage import coverage
from opsverify.playbook.defaults import playbook_of, replay_of
from opsverify.playbook.evidence_of_share import ShareEvidence, binned, edges_between
from opsverify.playbook.observation import as_text, selectors_of
from opsverify.playbook.sources import Judged, claimed, judge, matched_nothing
from opsverify.units import duration, listed, parse_duration, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opsverify.config.playbook import Measure, Playbook
    from opsverify.core.check import Check
    from opsverify.language.message import Message
    from opsverify.playbook.observation import IncidentWindow
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.services import Services


@dataclass(frozen=True)
class PlaybookRun:
    """One playbook on one check; `database` opens the target's PostgreSQL when SQL is first needed."""

    name: str
    check: Check
    window: IncidentWindow
    services: Services
    database: Callable[[], Postgres]

    @cached_property
    def _playbook(self) -> Playbook:
        return playbook_of(self.check.target, self.name)

    @property
    def _step_s(self) -> float:
        return parse_duration(self.check.target.playbook.step)

    # ---- before

    def measure_fault(self) -> None:
        """Measure that the fault was seen since the incident began. Raises Inconclusive: nothing to remedy."""
        for measure, found in self.require_fault():
            bad, trials = found.worst
            limit = measure.limit_in(self.check.limits)
            self.check.measure(
                measure.text,
                bad / trials,
                Limit(">" if limit.op == "<=" else ">=", limit.bound, "ratio"),
                samples=round(found.trials),
                of=say(
                    "{what} in the worst {step} since {since}: the fault was seen",
                    what=measure.text,
                    step=duration(self._step_s),
                    since=_clock(self.window.since),
                ),
            )

    def require_fault(self) -> list[tuple[Measure, ShareEvidence]]:
        """The measures that show a fault. Raises Inconclusive where none does: a remedy would prove nothing."""
        edges = edges_between(self.window.since, self.window.start, self._step_s)
        seen, texts = [], []
        for measure in self._playbook.fault.values():
            found = self._evidence(measure, edges)
            limit = measure.limit_in(self.check.limits)
            bad, trials = found.worst
            if found.breached(self.check.target.playbook.alpha) and not limit.holds(bad / trials):
                seen.append((measure, found))
            texts.append(_measured(measure, found, limit))
        if not seen:
            raise Inconclusive(
                say(
                    "nothing to remedy: no fault was seen since {since} ({measured}); where the incident began "
                    "earlier, give --incident-since TIME",
                    since=_clock(self.window.since),
                    measured=join("; ", texts),
                )
            )
        return seen

    # ---- remedy

    def measure_remedy(self) -> None:
        """Measure that every source of a remedy says that it is in force (of all remedies, where all are required)."""
        self.require_fault()
        found = {name: self._judged(name) for name in self._playbook.remedies}
        if self._playbook.require == "any":
            in_force = {name: sources for name, sources in found.items() if all(each.holds for each in sources)}
            # None in force: the one that the platform reports is what its operators believe in.
            reported = {name: sources for name, sources in found.items() if claimed(sources)}
            open_still = {
                name: sources for name, sources in found.items() if all(each.holds is not False for each in sources)
            }
            found = in_force or open_still or reported
            if not found:
                names = tuple(self._playbook.remedies)
                self.check.measure(
                    say("remedies"), 0, Limit(">=", 1, "count"), of=listed(say("remedies in force, of"), names)
                )
        for name, sources in found.items():
            self._measure_sources(name, sources)

    def _judged(self, name: str) -> list[Judged]:
        remedy = self._playbook.remedies[name]
        return [judge(source, self.check.target, self.window, self._number, self._value) for source in remedy.sources]

    def _measure_sources(self, name: str, sources: Sequence[Judged]) -> None:
        unknown = [source.text for source in sources if source.holds is None]
        against = [source.text for source in sources if source.holds is False]
        if unknown and not against:
            raise Inconclusive(say("remedy {name}: not measured: {unknown}", name=name, unknown=join("; ", unknown)))
        self.check.measure(
            say("remedy {name}", name=name),
            len(against),
            NONE,
            of=listed(say("of {count} sources do not have {name} in force", count=len(sources), name=name), against)
            if against
            else say("of {count} sources do not have {name} in force", count=len(sources), name=name),
        )

    def measure_replay(self) -> None:
        """Measure that the judgments of the faulty version were replayed under the one before, all of them."""
        self.require_fault()
        replay = replay_of(self.check.target)
        since, until = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (self.window.since, self.window.start))
        version = str(self.database().value(replay.version))
        affected = int(self.database().value(replay.affected, since=since, until=until))
        body = {"from": since.isoformat(), "to": until.isoformat(), "version": version}
        reply = self.services.request("POST", replay.service, replay.path, json=body)
        self.check.expect(say("status of the replay"), reply.status, 200)
        replayed, changed = int(reply.field(replay.replayed)), int(reply.field(replay.changed))
        self.check.measure(
            say("replayed"),
            replayed,
            Limit(">=", affected, "count"),
            of=say(
                "judgments replayed under {version}: {changed:,} of them would change", version=version, changed=changed
            ),
        )

    # ---- after

    def confirm(self, name: str) -> None:
        """Measure one item of the runbook's list over the whole window."""
        self.require_fault()
        measure = self._playbook.confirm[name]
        limit = measure.limit_in(self.check.limits)
        if not measure.is_share:
            value, text = self._number(measure)
            if measure.counter in self.window.unproven and limit.holds(value):
                raise Inconclusive(matched_nothing(measure.text, str(measure.counter)))
            self.check.measure(measure.text, value, limit, of=join(" ", (measure.text, text)) if text else measure.text)
            return
        self._require_meaning(measure)
        found = self._evidence(measure, edges_between(self.window.start, self.window.end, self._step_s))
        what = say("{what} in {seconds}", what=measure.text, seconds=duration(round(self.window.seconds)))
        if not found.trials and measure.none_is_well:
            self.check.measure(measure.text, 0.0, limit, samples=0, of=say("{what}: none was counted", what=what))
            return
        least = measure.min_samples or round(self.check.limits.min_samples.bound)
        if found.trials < least:
            raise Inconclusive(
                say(
                    "{what}: {trials:,.0f} samples, {least} needed; lengthen playbook.window",
                    what=what,
                    trials=found.trials,
                    least=least,
                )
            )
        self.check.measure(
            measure.text,
            found.share,
            limit,
            samples=round(found.trials),
            of=say(
                "of {trials:,.0f}: {what}, proven below {upper}",
                trials=found.trials,
                what=what,
                upper=quantity(found.upper, "ratio"),
            ),
        )
        ending = found.ending
        if ending.trials >= least:
            self.check.measure(
                say("end of the window"),
                ending.share,
                limit,
                samples=round(ending.trials),
                of=say("of {trials:,.0f} at the end of the window: {what}", trials=ending.trials, what=measure.text),
            )

    def _require_meaning(self, measure: Measure) -> None:
        """Raise Inconclusive where no bad ones are counted by a selector that has never matched any."""
        if measure.rows is not None:
            return
        chosen = selectors_of(measure, self.check.target)
        if not chosen.good and chosen.counted in self.window.unproven:
            raise Inconclusive(matched_nothing(measure.text, chosen.counted))

    def measure_left(self) -> None:
        """Measure that no override is reported that is not one of this playbook's own remedies."""
        self.require_fault()
        config = self.check.target.playbook
        own = {name for remedy in self._playbook.remedies.values() for name in remedy.overrides}
        for instance in config.instances:
            reply = self.services.get(instance, config.overrides_path)
            found = [as_text(name) for name in reply.field(config.overrides_field)]
            left = sorted(set(found) - own)
            self.check.measure(
                say("overrides of {instance}", instance=instance),
                len(left),
                NONE,
                of=listed(say("overrides that are no remedy of this incident; withdraw them"), left),
            )

    # ---- counting

    def _evidence(self, measure: Measure, edges: Sequence[float]) -> ShareEvidence:
        limit = measure.limit_in(self.check.limits).bound
        if measure.rows is not None:
            since, until = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (edges[0], edges[-1]))
            rows = self.database().rows(measure.rows, **_given(measure.rows, since, until))
            return ShareEvidence.of(binned(((float(a), float(b), float(n)) for a, b, n in rows), edges), limit)
        chosen = selectors_of(measure, self.check.target)
        trials_of = self.window.samples[chosen.trials]
        if not any(trials_of.values()):
            raise Inconclusive(
                say(
                    "{what}: no samples of {selector}; check that it is scraped",
                    what=measure.text,
                    selector=chosen.trials,
                )
            )
        self._require_covered(measure.text, [at for points in trials_of.values() for at in points], edges)
        both = (chosen.trials, chosen.counted)
        trials, counted = (self.window.grown(measure.text, of, edges, both) for of in both)
        pairs = [
            (max(0.0, total - part) if chosen.good else min(part, total), total)
            for part, total in zip(counted, trials, strict=True)
        ]
        return ShareEvidence.of(pairs, limit)

    def _require_covered(self, what: str, moments: Sequence[float], edges: Sequence[float]) -> None:
        if edges[0] < self.window.start:
            return  # a fault may take the monitoring with it
        limit = self.check.limits.data_coverage
        found = coverage(moments, edges[0], edges[-1], self._step_s)
        if not limit.holds(found.share):
            raise Inconclusive(
                say(
                    "{what}: {share} of the window was observed, limit {limit}; check that it is scraped",
                    what=what,
                    share=quantity(found.share, "ratio"),
                    limit=limit.text,
                )
            )

    def _number(self, measure: Any) -> tuple[float, str]:  # noqa: ANN401 - a measure or a source
        """The number of a query or counter over the window, and the text that the query gave with it."""
        if measure.counter is not None:
            edges = [self.window.start, self.window.end]
            return sum(self.window.grown(measure.text, measure.counter, edges, [measure.counter])), ""
        since, until = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (self.window.start, self.window.end))
        row = self.database().row(measure.query, **_given(measure.query, since, until))
        return float(row[0]), f"({row[1]})" if len(row) > 1 and row[1] else ""

    def _value(self, statement: str) -> str:
        return str(self.database().value(statement))


def _measured(measure: Measure, found: ShareEvidence, limit: Limit) -> Message:
    measured = quantity(found.share, "ratio") if found.trials else say("no samples")
    text = say("{what} {measured}, limit {limit}", what=measure.text, measured=measured, limit=limit.text)
    unproven = found.trials and not limit.holds(found.share)
    return join(": ", (text, say("too few to prove a fault, run again in a minute"))) if unproven else text


def _given(statement: str, since: dt.datetime, until: dt.datetime) -> dict[str, object]:
    """The parameters that a statement names; none for one that names none, in which a percent sign stays one."""
    known: dict[str, object] = {"since": since, "until": until, "seconds": (until - since).total_seconds()}
    return {name: value for name, value in known.items() if f"%({name})s" in statement}


def _clock(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%H:%M:%SZ")
