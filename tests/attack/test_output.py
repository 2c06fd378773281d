"""Output: nothing that a service answers acts on terminal, page or memory, or sends a request elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.core.results import CheckResult, Measurement
from opsverify.core.stages import Outcome
from opsverify.language.plain import plain_line, plain_lines, plain_output
from opsverify.limits import Limit
from tests.probes.probe_servers import fake_server

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

FORGED: Final = "staging on prod: PROMOTE  (exit 0; 22 pass)"
ACTIVE: Final = {
    "clear screen": "\x1b[2J\x1b[H",
    "OSC title": "\x1b]0;owned\x07",
    "OSC link": "\x1b]8;;http://evil.example\x1b\\",
    "8-bit CSI": "\x9b2J",
    "line feed": "\n",
    "carriage return": "\r",
    "CR LF": "\r\n",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "file separator": "\x1c",
    "backspace": "\b" * 40,
    "right to left": "\u202e",
    "isolate": "\u2067",
    "invisible": "\u200b\ufeff",
    "tag letters": "\U000e0041",
    "null": "\x00",
    "delete": "\x7f",
}
"""What a terminal or a page would act on."""
HARMLESS: Final = frozenset(map(ord, "\n\t"))
_HEALTH: Final = """
import json
from opsverify import Limit, NONE

@described("t.answer", "1-daily/alerts", "1-daily/llm", "1-daily/dead-letters", "1-daily/mcp", "1-daily/stores")
def test_answer(check, services):
    reply = services.get("a", "/health")
    text = reply.json["status"]
    print(text)
    logging.getLogger("service").warning(text)
    check.attach("answer " + text, text)
    check.expect("status " + text, text, "ok")
    with check.step("read " + text):
        check.measure(text, 2.0, RATE, of=text)

@described("t.raised", "1-daily/llm")
def test_raised(check, services):
    raise Inconclusive(services.get("a", "/health").json["status"])

@described("t.crashed", "1-daily/llm")
def test_crashed(check, services):
    raise ValueError(services.get("a", "/health").json["status"])
"""


def _active(text: str) -> set[str]:
    return {
        hex(ord(one))
        for one in text
        if ord(one) not in HARMLESS
        and (ord(one) < 32 or 127 <= ord(one) < 160 or one in "\u2028\u2029\u202e\u2067\u200b\ufeff\U000e0041")
    }


@pytest.mark.parametrize("way", ["cli", "pytest"])
def test_no_answer_acts_on_terminal_or_page(suite: Suite, way: str) -> None:
    """A health endpoint's answer is in every message, and forges no line, clears nothing, turns nothing round."""
    hostile = "".join(f"{character}{FORGED}" for character in ACTIVE.values())
    with fake_server() as server:
        server.answer("/health", json.dumps({"status": hostile}))
        target = suite.root / "targets" / "t.toml"
        target.write_text(target.read_text().replace("http://127.0.0.1:9", server.url))
        (suite.root / "checks" / "test_whole.py").unlink()
        suite.checks("answer", _HEALTH)
        ran = suite.run(way, ["-s", "-rA"] if way == "cli" else ["-o", "log_cli=true"])
    assert ran.verdict is not None, str(ran)
    assert ran.code in (1, 10)
    assert ran.folder is not None
    for name, text in {"stdout": ran.out, "stderr": ran.err, "verdict": _strings(ran.verdict)}.items():
        assert _active(text) == set(), name
    for line in (ran.out + ran.err).splitlines():
        assert not line.startswith(FORGED) or way == "cli"  # under -s a check's own print is the check's own
    results = list((ran.folder / "allure-results").iterdir())
    assert results
    for path in results:
        text = path.read_text(encoding="utf-8")
        assert _active(_strings(json.loads(text)) if path.suffix == ".json" else text) == set(), path.name


def _strings(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return "".join(_strings(key) + _strings(item) for key, item in value.items())
    return "".join(map(_strings, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", ACTIVE)
def test_each_is_shown_and_does_nothing(name: str) -> None:
    """Every such character is replaced by a text for it; results are clean however they are made."""
    hostile = f"before{ACTIVE[name]}{FORGED}"
    limit = Limit.parse("< 1 %", "ratio")
    result = CheckResult("t.x", Outcome.FAIL, hostile)
    for text in (
        plain_line(hostile),
        result.message,
        Measurement.equal(hostile, hostile, hostile).message,
        Measurement.of(hostile, 2.0, limit, what=hostile).message,
        str(Measurement.equal("x", hostile, "y").measured),
    ):
        assert _active(text) == set()
        assert "\n" not in text
        assert "PROMOTE" in text
    assert _active(plain_lines(hostile)) == set()


@given(st.text())
def test_plain_text_stays(text: str) -> None:
    """Cleaning twice is cleaning once, letters of any language stay, and nothing active is left."""
    for clean in (plain_line, plain_lines):
        assert clean(clean(text)) == clean(text)
        assert _active(clean(text)) == set()
    assert plain_line("판단 지연 Ä 漢字 ✓") == "판단 지연 Ä 漢字 ✓"
    assert plain_output("\x1b[31mred\x1b[0m\r") == "\x1b[31mred\x1b[0m\r"
    assert "\x1b" not in plain_output("\x1b[2J\x1b]0;x\x07")


def test_errors_of_commands_are_clean(suite: Suite) -> None:
    """What the command line quotes of a file is clean as well."""
    ran = suite.run("cli", target="no\x1b[2Jsuch\ntarget")
    assert ran.code == 4
    assert _active(ran.out + ran.err) == set()
