"""The switchback on the incident's record: in order, proven, its downtime computed, its report read by the stage."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import Inconclusive, Refused
from opsverify.incident.downtime import Interruption, downtime
from opsverify.incident.entries import Entry, declare, mark, status
from opsverify.incident.timeline import NAME
from opsverify.report.publish import publish_incident
from opsverify.switchback.report import latest_report
from tests.support.sealed_runs import CLOSING, closed, run
from tests.support.target_file import REGIONS, SMALLEST, target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.incident.timeline import Incident
    from opsverify.switchback.report import SwitchbackReport

LINES = ("7-1/origin", "7-2/sync", "7-3/traffic", "7-4/verify", "7-5/close")
STEPS = ("origin", "fence", "sync", "return", "verify", "report", "stand-down")
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def proven(project: Path, **outcomes: str) -> Path:
    """A run of switchback, all green but for `outcomes`."""
    return run(project, "switchback", dict.fromkeys(LINES, "pass") | outcomes)


def back_until(project: Path, last: str) -> Incident:
    """A closed recovery, and the switchback up to and with the step `last`."""
    incident = closed(project)
    proven(project)
    for step in STEPS[: STEPS.index(last) + 1]:
        said = CLOSING if step == "report" else Entry(by="lee")
        incident = mark("t", project, None, step, said)
    return incident


def report_of(project: Path, since: dt.datetime = LONG_AGO) -> SwitchbackReport:
    """The report that the stage's check reads."""
    return latest_report(target_in(project, SMALLEST), project / "reports", since)


def test_a_switchback_is_recorded_to_its_end(project: Path) -> None:
    """A closed recovery is open again while it is under way, and closed after its last step; each step has its run."""
    recovery = closed(project)
    assert recovery.closed
    evidence = proven(project).name
    for step in STEPS:
        incident = mark("t", project, None, step, CLOSING if step == "report" else Entry(by="lee"))
        assert incident.id == recovery.id
        assert incident.closed == (step == "stand-down")
    marked = {event.step: event.evidence for event in incident.events if event.step in STEPS}
    assert marked == dict.fromkeys(STEPS, evidence) | {"fence": None, "report": None}
    with pytest.raises(Refused, match="switchback is closed"):
        mark("t", project, None, "origin", Entry())
    assert declare("t", project, Entry()).id != incident.id


@pytest.mark.parametrize(
    ("line", "step"),
    [("7-1/origin", "origin"), ("7-2/sync", "sync"), ("7-3/traffic", "return"), ("7-4/verify", "verify"),
     ("7-5/close", "stand-down")],
)  # fmt: skip
def test_each_step_needs_its_own_lines(project: Path, line: str, step: str) -> None:
    """A run whose checks of one line failed opens every step before, and not that one."""
    closed(project)
    proven(project, **{line: "fail"})
    for before in STEPS[: STEPS.index(step)]:
        mark("t", project, None, before, CLOSING if before == "report" else Entry())
    with pytest.raises(Refused, match="is fail: said so" if step != "stand-down" else "its decision is reject"):
        mark("t", project, None, step, Entry())
    reason = "the operator has looked at it by hand"
    excused = mark("t", project, None, step, Entry(exception=reason)).events[-1].exception
    assert excused is not None
    assert excused.startswith(reason)


def test_the_recovery_comes_first(project: Path) -> None:
    """There is no switchback from a recovery that was not closed."""
    declare("t", project, Entry())
    with pytest.raises(Refused, match=r"origin is out of order: backup \(5-2\) comes next"):
        mark("t", project, None, "origin", Entry())


def test_a_run_of_before_the_fence_proves_no_increment(project: Path) -> None:
    """What DR wrote after that run nobody has compared."""
    closed(project)
    run(project, "switchback", dict.fromkeys(LINES, "pass"), ago_s=-1)
    mark("t", project, None, "origin", Entry())
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)).isoformat()
    mark("t", project, None, "fence", Entry(at=later))
    with pytest.raises(Refused, match="was begun before fence"):
        mark("t", project, None, "sync", Entry(at=later))


def test_downtime_comes_from_the_timeline(project: Path) -> None:
    """From the disaster to the switch, and from the fence to the return; where one is missing it is not known."""
    incident = closed(project, Entry(at="2026-11-01T00:10:00Z", disaster_at="2026-11-01T00:00:00Z"))
    switched = incident.of("switch")
    assert switched is not None
    outage_s = (switched.moment - dt.datetime(2026, 11, 1, tzinfo=dt.UTC)).total_seconds()
    proven(project)
    mark("t", project, None, "origin", Entry())
    began = incident.events[-1].moment + dt.timedelta(seconds=1)
    incident = mark("t", project, None, "fence", Entry(at=began.isoformat()))
    assert downtime(incident).seconds is None
    assert list(downtime(incident).problems) == ["switchback: return not recorded"]
    ended = (began + dt.timedelta(seconds=20)).isoformat()
    for step in ("sync", "return"):
        incident = mark("t", project, None, step, Entry(at=ended))
    assert downtime(incident).seconds == outage_s + 20
    assert str(downtime(incident)).endswith("switchback 20s (fence to return)")
    assert any(str(downtime(incident)) in line for line in status("t", project, None))


def test_a_report_needs_its_words_and_its_times(project: Path) -> None:
    """Impact, loss and actions, and the entries that the downtime is computed from."""
    closed(project)
    said = "report of report: missing --impact, --loss, --action; switchback: fence and return not recorded"
    with pytest.raises(Refused, match=said):
        mark("t", project, None, "report", Entry())


def test_times_that_contradict_each_other_give_no_downtime() -> None:
    """A stretch that ends before it begins is not on record as zero."""
    began = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    outage = Interruption("outage", "disaster", "switch", began, began - dt.timedelta(seconds=1))
    assert (outage.seconds, str(outage)) == (None, "outage: switch is before disaster")


def test_the_stage_reads_the_report_before_the_last_step(project: Path) -> None:
    """The run that closes the switchback is the first that reads its report, with the downtime and who wrote it."""
    incident = back_until(project, "report")
    report = report_of(project)
    assert report.after_s > 0
    assert f"by {incident.events[-1].by} in incident {incident.id}, downtime " in report.summary
    assert "20:00-21:00" in report.text


@pytest.mark.parametrize("last", [None, *STEPS[:-2]])
def test_an_incident_without_a_report_is_no_report(project: Path, last: str | None) -> None:
    """Until its report is marked the stage names the next step, whatever a signed record holds."""
    incident = closed(project) if last is None else back_until(project, last)
    assert incident.next_step is not None
    with pytest.raises(Inconclusive, match=f"does not record {incident.next_step.name} "):
        report_of(project)


def test_a_report_with_a_field_missing_is_no_report(project: Path) -> None:
    """One that was recorded as an exception without its loss is named."""
    back_until(project, "verify")
    said = Entry(impact="all", actions=("more disk",), exception="losses are still being counted")
    mark("t", project, None, "report", said)
    with pytest.raises(Inconclusive, match="is incomplete: no loss"):
        report_of(project)


def test_a_report_of_before_the_switch_is_no_report(project: Path) -> None:
    """What was recorded of an earlier switch does not count for this one."""
    back_until(project, "report")
    with pytest.raises(Inconclusive, match="before traffic was switched"):
        report_of(project, dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))


def test_a_changed_report_is_no_report(project: Path) -> None:
    """The newest line, too, is bound by its own sum; another target's damaged timeline is no reason to stop."""
    incident = back_until(project, "report")
    path = incident.folder / NAME
    whole = path.read_text(encoding="utf-8")
    other = incident.folder.with_name(incident.id.replace("-t-", "-other-"))
    other.mkdir()
    (other / NAME).write_text("damaged", encoding="utf-8")
    report_of(project)
    path.write_text(whole.replace("20:00-21:00", "20:00-20:01"), encoding="utf-8")
    with pytest.raises(Inconclusive, match="altered after it was written"):
        report_of(project)


def test_without_an_incident_the_signed_record_counts(project: Path) -> None:
    """None was declared, or only one that ended before this outage."""
    closed(project)
    later = f'outage_at = {(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)).isoformat()}\nttl = "60s"'
    text = SMALLEST + REGIONS.replace('ttl = "60s"', later)
    with pytest.raises(Inconclusive, match=r"missing \[attestations"):
        latest_report(target_in(project, text), project / "reports", LONG_AGO)


def test_the_page_shows_the_switchback(project: Path) -> None:
    """Its steps in both languages, the downtime, what its report says."""
    back_until(project, "stand-down")
    page = publish_incident("t", project, None).read_text(encoding="utf-8")
    for words in ("스위치백 (정상 복귀)", "Switchback", "7-3 return", "트래픽을 본 리전으로 전환", "14 / 14",
                  "switchback: impact: 20:00-21:00"):  # fmt: skip
        assert words in page


def test_the_page_of_a_recovery_alone_is_as_before(project: Path) -> None:
    """No switchback is drawn, counted or required."""
    closed(project)
    page = publish_incident("t", project, None).read_text(encoding="utf-8")
    assert "7 / 7" in page
    assert "Switchback" not in page
    assert "7-1" not in page
