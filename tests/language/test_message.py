"""Messages: one value with two texts, wherever a `str` goes."""

from __future__ import annotations

import json
import pickle

import pytest

from opsverify.errors import Inconclusive
from opsverify.language import message as module
from opsverify.language.message import Message, as_message, join, packed, pair, say, unpair
from opsverify.language.particles import with_particles

KOREAN = {
    "{used} of {limit} connections are used": "연결 {limit}개 중 {used}개 사용 중",
    "pool {name}: {cause}": "풀 {name}: {cause}",
    "{name} is full": "{name}이(가) 가득 참",
}


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "korean", KOREAN.get)


def test_a_message_is_its_english_text_and_has_its_korean_one() -> None:
    """Parameters go by name: the Korean order differs."""
    said = say("{used} of {limit} connections are used", used=97, limit=100)
    assert said == "97 of 100 connections are used"
    assert said.ko == "연결 100개 중 97개 사용 중"
    assert said.text("ko") == said.ko
    assert type(said.en) is str


def test_a_message_as_parameter_appears_in_the_language_of_the_whole() -> None:
    """Also through the exception that carried it."""
    inner = say("{used} of {limit} connections are used", used=97, limit=100)
    for cause in (inner, Inconclusive(inner), ValueError(inner)):
        outer = say("pool {name}: {cause}", name="app", cause=cause)
        assert outer == "pool app: 97 of 100 connections are used"
        assert outer.ko == "풀 app: 연결 100개 중 97개 사용 중"


def test_without_a_korean_template_the_text_is_english_with_korean_parameters() -> None:
    """What is not translated yet hides no measured value."""
    said = say("tried: {what}", what=say("{name} is full", name="디스크"))
    assert said.ko == "tried: 디스크가 가득 참"


def test_a_message_keeps_the_values_of_its_making() -> None:
    """A list that grows afterwards changes neither text."""
    names = ["a"]
    said = say("pool {name}: {cause}", name=names, cause="down")
    names.append("b")
    assert said.ko == "풀 ['a']: down"


def test_both_texts_survive_pickle_and_json() -> None:
    """Workers and files carry both; a file of an older run has the English one only."""
    said = say("{name} is full", name="app")
    read = pickle.loads(pickle.dumps(said))  # noqa: S301 - made in this test
    assert (read, read.ko) == (said, said.ko)
    written = json.loads(json.dumps(pair("message", said)))
    again = unpair(written, "message")
    assert (again, again.ko) == (said, said.ko)
    assert unpair({"message": "old"}, "message").ko == "old"


def test_join_and_addition_keep_both_languages() -> None:
    """Plain texts between messages are the same in both."""
    one, two = say("{name} is full", name="디스크"), say("{name} is full", name="메모리")
    assert join("; ", [one, "x", two]).ko == "디스크가 가득 참; x; 메모리가 가득 참"
    assert isinstance(one + " (now)", Message)
    assert (one + " (now)").ko == "디스크가 가득 참 (now)"
    assert one.each(str.upper) == "디스크 IS FULL"
    assert as_message("plain").ko == "plain"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("서버을(를)", "서버를"),
        ("백업을(를)", "백업을"),
        ("기준 3을(를)", "기준 3을"),
        ("기준 2이(가)", "기준 2가"),
        ("디스크은(는)", "디스크는"),
        ("서울(으)로", "서울로"),
        ("부산(으)로", "부산으로"),
        ("판단과(와)", "판단과"),
        ("app을(를)", "app을(를)"),
    ],
)
def test_particles_follow_the_sound_before_them(written: str, read: str) -> None:
    """A Latin word keeps both forms: nobody knows how it is read."""
    assert with_particles(written) == read


def test_the_cause_is_the_message_without_its_detail() -> None:
    """Two queries that one server did not answer have one cause: wrapped, joined, and in another process too."""
    one, two = (say("server {url}{detail}: no answer", url="u", detail=f", query {name}") for name in "ab")
    assert one != two
    assert one.cause == two.cause == "server u: no answer"
    wrapped = say("pool {name}: {cause}", name="app", cause=ValueError(one))
    assert wrapped.cause == "pool app: server u: no answer"
    assert wrapped.cause.ko == "풀 app: server u: no answer"
    assert join("; ", [one, two]).cause == "server u: no answer"
    assert one.each(str.upper).cause == "SERVER U: NO ANSWER"
    for read in (pickle.loads(pickle.dumps(one)), unpair(packed("message", one), "message")):  # noqa: S301 - made in this test
        assert (read, read.cause) == (one, two.cause)
    plain = say("pool {name}: {cause}", name="app", cause="down")
    assert plain.cause is plain


def test_texts_with_a_common_cause_are_counted_as_one() -> None:
    """`caused_by` gives a sentence of its own the cause of another: a part not reached, and the reason it names."""
    reason = say("{source}{detail}", source="Prometheus", detail=", query up")
    text = say("nothing was restored: {reason}", reason=reason).caused_by(reason)
    assert text == "nothing was restored: Prometheus, query up"
    assert text.cause == reason.cause == "Prometheus"
