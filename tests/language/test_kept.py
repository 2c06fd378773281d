"""Kept messages: JSON of a run that another process, or a later command, reads in either language."""

from __future__ import annotations

import json

from opsverify.language.kept import TEXTS, keep, revive
from opsverify.language.message import Message, join, say
from opsverify.recovery.verify.finding import Finding


def test_messages_have_both_languages_again() -> None:
    """What was written as JSON and read again is Korean for a Korean reader, wherever it stood."""
    message = say("missing [recovery.platform]")
    read = revive(json.loads(json.dumps(keep({"deep": [{"unknown": message}], "other": "as it is", "n": 1}))))
    assert read == {"deep": [{"unknown": message}], "other": "as it is", "n": 1}
    assert isinstance(read["deep"][0]["unknown"], Message)
    assert read["deep"][0]["unknown"].ko == message.ko != message.en


def test_the_cause_is_kept() -> None:
    """Reasons are counted by their cause in the process that reads the file, too."""
    message = say("{source}{detail}", source="Prometheus", detail=", query up")
    kept = revive(json.loads(json.dumps(keep({"problem": join(": ", (say("not compared"), message))}))))["problem"]
    assert kept.cause == "not compared: Prometheus"


def test_files_without_messages_are_as_ever() -> None:
    """A file of an older version is read as it is, and plain values get no field."""
    assert revive({"finding": {"of": "english only"}}) == {"finding": {"of": "english only"}}
    assert TEXTS not in keep({"finding": "plain"})


def test_a_finding_keeps_both_languages() -> None:
    """A copy of a finding, as `asdict` makes it, still has its Korean texts."""
    finding = Finding(3, say("tables"), (say("not compared"),))
    read = Finding.from_dict(revive(json.loads(json.dumps(keep(finding.to_dict())))))
    assert read == finding
    assert isinstance(read.of, Message)
    assert read.of.ko == "테이블"
