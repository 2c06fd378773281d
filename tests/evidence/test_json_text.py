"""JSON text: what is read back is what was written, and each entry has a line of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsverify.evidence.json_text import json_text

CONTENT: dict[str, Any] = {
    "schema": "x/1",
    "none": None,
    "empty": [],
    "no_table": {},
    "checks": [{"id": "a", "title": {"ko": "가", "en": "one\ntwo"}}, {"id": "b, c: d", "measured": [1, 2.5]}],
    "flat": {"a.b": "01", "c": 2, 'quoted "name"': "x, y: z\n"},
    "mixed": {"list": [1, [2]], "text": "t", "table": {"k": {}}},
    "pairs": (1, (2, 3)),
}


@pytest.mark.parametrize("content", [CONTENT, {}, {"one": 1}], ids=["all kinds", "nothing", "one field"])
def test_what_was_written_is_read_back(content: dict[str, Any]) -> None:
    """The layout changes nothing: neither values nor their order."""
    found = json.loads(json_text(content))

    assert found == json.loads(json.dumps(content))
    assert list(found) == list(content)


def test_each_entry_has_its_line() -> None:
    """A check, and a key of a table, is found by `grep` and shown alone by `diff`."""
    lines = json_text(CONTENT).splitlines()

    assert '    {"id": "a", "title": {"ko": "가", "en": "one\\ntwo"}},' in lines
    assert '    "a.b": "01",' in lines
    assert '    "table": {"k": {}}' in lines
