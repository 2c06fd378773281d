"""A recovery's timeline: append-only, in order, and every step after the gate of its own evidence."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from opsverify.errors import EvidenceError, Refused, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.incident.entries import Entry, declare, mark, status
from opsverify.incident.timeline import NAME, incidents, read
from opsverify.report.publish import publish_incident
from tests.support.sealed_runs import CLOSING, recovered, rehearsed, run

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.incident.timeline import Incident


def events(project: Path) -> Incident:
    """The one incident."""
    (incident,) = incidents(project / "reports")
    return incident


def test_a_whole_recovery_is_recorded_step_by_step(project: Path) -> None:
    """All seven steps, each opened by evidence, who and when; afterwards the next disaster may be declared."""
    declare("t", project, Entry(by="kim", disaster_at="2026-11-22T20:00:00+09:00"))
    rehearsal = rehearsed(project)
    mark("t", project, None, "backup", Entry(by="kim"))
    after = recovered(project)
    for step in ("restore", "switch", "consistency", "smoke"):
        mark("t", project, None, step, Entry(by="lee"))
    incident = mark("t", project, None, "close", CLOSING)
    assert [event.step for event in incident.events] == [
        "declare", "backup", "restore", "switch", "consistency", "smoke", "close",
    ]  # fmt: skip
    assert [event.evidence for event in incident.events] == [None, rehearsal.name, *[after.name] * 5]
    assert incident.closed
    assert read(incident.folder) == incident
    assert declare("t", project, Entry()).id != incident.id


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("restore", "restore is out of order: backup (5-2) comes next"),
        ("backup", "no run of rehearsal on t"),
        ("declare", "declare was marked before"),
    ],
)
def test_a_step_out_of_order_or_without_evidence_is_refused(project: Path, step: str, said: str) -> None:
    """Nothing is recorded, and the message says what comes next or what is lacking."""
    declare("t", project, Entry())
    with pytest.raises(Refused) as raised:
        mark("t", project, None, step, Entry())
    assert said in str(raised.value)
    assert len(events(project).events) == 1


def test_evidence_has_to_be_of_this_recovery(project: Path) -> None:
    """A run from before the declaration, of another target, or one that rejects opens no gate."""
    old = rehearsed(project, ago_s=60)
    declare("t", project, Entry())
    with pytest.raises(Refused, match=r"was begun before declare"):
        mark("t", project, None, "backup", Entry(evidence=old.name))
    foreign = rehearsed(project, target="other")
    with pytest.raises(Refused, match="is a run of rehearsal on other"):
        mark("t", project, None, "backup", Entry(evidence=str(foreign)))
    rejected = run(project, "rehearsal", {"5-2/integrity": "fail"})
    with pytest.raises(Refused, match="its decision is reject"):
        mark("t", project, None, "backup", Entry(evidence=rejected.name))


def test_a_gate_looks_at_its_own_lines(project: Path) -> None:
    """Reads and writes are proven while alerts still fire; smoke is not."""
    declare("t", project, Entry())
    rehearsed(project)
    mark("t", project, None, "backup", Entry())
    recovered(project, **{"5-6/smoke": "fail"})
    for step in ("restore", "switch", "consistency"):
        mark("t", project, None, step, Entry())
    with pytest.raises(Refused, match=r"c\.6 is fail: said so"):
        mark("t", project, None, "smoke", Entry())


def test_evidence_that_was_changed_opens_nothing(project: Path) -> None:
    """A file added to a sealed run is enough."""
    declare("t", project, Entry())
    write_atomic(rehearsed(project) / "more.txt", "late")
    with pytest.raises(Refused, match="not what was sealed"):
        mark("t", project, None, "backup", Entry())


def test_an_exception_is_recorded_with_its_reason(project: Path) -> None:
    """What would have been refused stands in the timeline with the reason; a reason is a sentence."""
    declare("t", project, Entry())
    with pytest.raises(Refused, match="expected a sentence"):
        mark("t", project, None, "restore", Entry(exception="hurry"))
    incident = mark("t", project, None, "restore", Entry(exception="backup host is unreachable"))
    exception = incident.events[-1].exception or ""
    assert exception.startswith("backup host is unreachable (restore is out of order: backup")
    assert incident.next_step is not None
    assert incident.next_step.name == "backup"


def test_closing_needs_the_report(project: Path) -> None:
    """Runbook 5-7: impact, loss and actions are part of the end."""
    declare("t", project, Entry())
    rehearsed(project)
    mark("t", project, None, "backup", Entry())
    recovered(project)
    for step in ("restore", "switch", "consistency", "smoke"):
        mark("t", project, None, step, Entry())
    with pytest.raises(Refused, match="report of close: missing --impact, --loss, --action"):
        mark("t", project, None, "close", Entry())


def test_two_disasters_at_once_are_one_incident(project: Path) -> None:
    """A second declaration names the open one."""
    first = declare("t", project, Entry())
    with pytest.raises(Refused, match=first.id):
        declare("t", project, Entry())


def test_times_are_checked(project: Path) -> None:
    """No time without zone, none in the future, none before the newest entry."""
    with pytest.raises(TargetError, match="no time zone"):
        declare("t", project, Entry(at="2026-11-22T20:00:00"))
    with pytest.raises(Refused, match="after the declaration"):
        declare("t", project, Entry(disaster_at="2999-11-22T20:00:00Z"))
    with pytest.raises(Refused, match="future"):
        declare("t", project, Entry(at="2999-11-22T20:00:00Z"))
    declare("t", project, Entry())
    with pytest.raises(Refused, match="before the newest entry"):
        mark("t", project, None, "note", Entry(at="2026-01-01T00:00:00Z", note="late"))


def test_a_changed_timeline_shows(project: Path) -> None:
    """A line edited, or taken out, afterwards breaks the chain; an unknown step name gets the nearest one."""
    declare("t", project, Entry(note="first"))
    incident = mark("t", project, None, "note", Entry(note="second"))
    with pytest.raises(TargetError, match="did you mean 'backup'"):
        mark("t", project, None, "bakcup", Entry())
    path = incident.folder / NAME
    first, second = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for text, said in (
        (first.replace("first", "changed") + second, "line 1: altered after it was written"),
        (first + second.replace("second", "changed"), "line 2: altered after it was written"),
        (second, "line 1: does not follow"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(EvidenceError, match=said):
            read(incident.folder)


def test_a_timeline_of_before_lines_kept_their_own_sum_is_read(project: Path) -> None:
    """What was recorded by an earlier version stays readable, and is still bound by its chain."""
    incident = mark("t", project, declare("t", project, Entry(note="first")).id, "note", Entry(note="second"))
    path = incident.folder / NAME
    older, previous = [], "0" * 64
    for line in path.read_text(encoding="utf-8").splitlines():
        content = json.loads(line)
        del content["sha256"]
        older.append(json.dumps(content | {"previous": previous}))
        previous = hashlib.sha256(older[-1].encode()).hexdigest()
    path.write_text("\n".join(older), encoding="utf-8")
    assert read(incident.folder) == incident
    path.write_text("\n".join(older).replace("first", "changed"), encoding="utf-8")
    with pytest.raises(EvidenceError, match="line 2: does not follow"):
        read(incident.folder)


def test_status_and_page_say_where_the_recovery_stands(project: Path) -> None:
    """What is done, what comes next and what it needs; the page is complete in itself."""
    declare("t", project, Entry(by="kim", note="DB lost <b>"))
    mark("t", project, None, "restore", Entry(exception="backup host is unreachable"))
    lines = list(status("t", project, None))
    assert "open" in lines[0]
    assert "EXCEPTION backup host is unreachable" in lines[2]
    assert lines[-1].endswith("needs a run of rehearsal that accepts, begun after declare")
    page = publish_incident("t", project, None).read_text(encoding="utf-8")
    assert "DB lost &lt;b&gt;" in page
    assert "진행 중" in page
    assert "http" not in page


def test_nothing_declared_is_refused(project: Path) -> None:
    """A mark without a declaration has no clock to run against."""
    with pytest.raises(Refused, match="no incident was declared"):
        mark("t", project, None, "backup", Entry())


def test_lines_are_plain_json(project: Path) -> None:
    """Any tool reads the timeline."""
    incident = declare("t", project, Entry(by="김", note="선언"))
    line = json.loads((incident.folder / NAME).read_text(encoding="utf-8"))
    assert (line["step"], line["by"], line["note"], line["schema"]) == ("declare", "김", "선언", "opsverify.incident/1")


def test_a_password_in_a_persons_words_is_not_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of the target's secrets slipped into a note, a reason or an action is masked in the file."""
    secret = "planted-secret-17"
    monkeypatch.setenv("INCIDENT_TOKEN", secret)
    target = project / "targets" / "t.toml"
    target.write_text(target.read_text(encoding="utf-8") + 'bearer = { env = "INCIDENT_TOKEN" }\n', encoding="utf-8")
    declare("t", project, Entry(note=f"logged in with {secret}"))
    reason = f"restored by hand with {secret}"
    incident = mark("t", project, None, "restore", Entry(exception=reason, actions=(f"rotate {secret}",)))
    kept = (incident.folder / NAME).read_text(encoding="utf-8")
    assert secret not in kept
    assert kept.count("[redacted]") == 3
