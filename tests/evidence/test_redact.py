"""Redaction: no spelling of a secret survives any sink, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.evidence.manifest import verify_manifest, write_manifest
from opsverify.evidence.redact import MASK, RedactedStream, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALPHABET = st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Cs", "Cf", "Zs"))
SECRETS = st.text(ALPHABET, min_size=6, max_size=40).filter(lambda text: text not in MASK and text not in repr(MASK))
AROUND = st.text(st.sampled_from(" \n{}=:,abcXYZ"), max_size=12)
SPELLINGS = (
    lambda secret: secret,
    quote,
    lambda secret: quote(secret, safe=""),
    lambda secret: quote(secret, safe="").lower() if secret.islower() else quote(secret, safe=""),
    quote_plus,
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: json.dumps(json.dumps(secret))[1:-1],
    lambda secret: repr(secret)[1:-1],
    lambda secret: repr(secret.encode())[2:-1],
    html.escape,
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
)


@given(SECRETS, AROUND, AROUND, st.sampled_from(SPELLINGS))
def test_text(secret: str, before: str, after: str, spell: Callable[[str], str]) -> None:
    """In every spelling, within any text, the secret becomes a mask."""
    spelled = spell(secret)
    clean = Redactor([secret]).text(before + spelled + after)
    assert spelled not in clean or spelled in before + MASK + after
    assert MASK in clean


@pytest.mark.parametrize("secret", ["dead/beef+cafe", "00:planted", "AB+/planted"])
@pytest.mark.parametrize("shown", ["token={}", "https://host/x?a=1&token={}&b=3D", "url=3D{}", "=3Dtoken={}"])
def test_a_value_of_a_query_is_no_quoted_printable(secret: str, shown: str) -> None:
    """One that begins with two hexadecimal digits, and is encoded further on, was read as another one."""
    assert Redactor([secret]).text(shown.format(quote(secret, safe=""))) == shown.format(MASK)


@given(SECRETS, st.text("abcdefgh:", max_size=7), st.text("xyz", max_size=5))
def test_base64_within_base64(secret: str, before: str, after: str) -> None:
    """`user:secret` in base64 (basic authentication) does not give the secret back, whatever its offset."""
    encoded = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    clean = Redactor([secret]).text(encoded)
    assert MASK in clean
    assert len(clean.replace(MASK, "").rstrip("=")) <= (len(before) + len(after)) * 4 / 3 + 4


@given(SECRETS, st.dictionaries(st.text("kv", max_size=3), st.text("uvw", max_size=3), max_size=2))
def test_data(secret: str, other: dict[str, str]) -> None:
    """Keys and values of nested JSON are cleaned; numbers and other text stay."""
    value = {"list": [secret, {"deep": f"a{secret}b", secret: 1}], "n": 5, "none": None, **other}
    clean = Redactor([secret]).data(value)
    assert secret not in json.dumps(clean, ensure_ascii=False)
    assert clean["n"] == 5
    assert clean["none"] is None
    assert {key: clean[key] for key in other} == other


def test_sweep(tmp_path: Path) -> None:
    """Files that others wrote are cleaned in place, binary ones too; clean ones and links are left alone."""
    (tmp_path / "deep").mkdir()
    dirty, binary, clean = tmp_path / "deep" / "a.json", tmp_path / "b.bin", tmp_path / "c.txt"
    dirty.write_text('{"token": "planted-secret"}')
    binary.write_bytes(b"\xff\x00planted-secret\xfe")
    clean.write_text("ordinary")
    (tmp_path / "link").symlink_to(clean)
    swept = Redactor(["planted-secret"]).sweep(tmp_path)
    assert set(swept.cleaned) == {dirty, binary}
    assert swept.sums == {
        path.relative_to(tmp_path).as_posix(): sha256(path.read_bytes()).hexdigest() for path in (dirty, binary, clean)
    }
    assert dirty.read_text() == '{"token": "[redacted]"}'
    assert binary.read_bytes() == b"\xff\x00[redacted]\xfe"
    assert clean.read_text() == "ordinary"


def test_a_secret_in_a_name_is_swept(tmp_path: Path) -> None:
    """Of a file, a folder, of both together; nothing is overwritten, and the sums are of the new names."""
    for path in (
        "planted-secret.txt",
        "x planted-secret.txt",
        "a/planted-secret/planted-secret",
        "path/se/cret",
        "own",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path[:1])
    (tmp_path / "[redacted].txt").write_text("before")
    odd = os.fsdecode(b"\xff-planted-secret")
    (tmp_path / odd).write_text("o")
    swept = Redactor(["planted-secret", "path/se/cret"]).sweep(tmp_path)
    write_manifest(tmp_path, swept.sums)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} - {"manifest.sha256"}
    assert found == {
        "[redacted].txt", "[redacted].txt-2", "x [redacted].txt", "a", "a/[redacted]", "a/[redacted]/[redacted]",
        "path", "path/se", "path/se/[redacted]", "own", odd.replace("planted-secret", "[redacted]"),
    }  # fmt: skip
    assert (tmp_path / "[redacted].txt").read_text() == "before"
    assert verify_manifest(tmp_path) == ()
    assert b"planted" not in (tmp_path / "manifest.sha256").read_bytes()


def test_a_file_that_was_changed_after_it_was_cleaned_is_swept(tmp_path: Path) -> None:
    """What was written without secrets is known by its content: added to, it is searched like any other file."""
    redactor = Redactor(["planted-secret"])
    kept, changed = tmp_path / "kept.json", tmp_path / "changed.json"
    for path in (kept, changed):
        path.write_bytes(redactor.lines("passed"))
    assert redactor.sweep(tmp_path).cleaned == ()
    changed.write_text('{"status": "planted-secret"}')
    assert redactor.sweep(tmp_path).cleaned == (changed,)


@pytest.mark.parametrize("between", ["\x00", "\x08", "\x1b[0m", "\r", "\u200b", "\u202e"])
def test_a_secret_that_what_acts_on_a_page_took_apart_is_found(tmp_path: Path, between: str) -> None:
    """It is searched as it is written; where something was removed, the sweep searches it once more."""
    redactor = Redactor(["planted-secret"])
    (tmp_path / "a.txt").write_bytes(redactor.lines(f"token planted{between}-secret"))
    redactor.sweep(tmp_path)
    assert Redactor(["planted-secret"]).text((tmp_path / "a.txt").read_text()) == (tmp_path / "a.txt").read_text()


def test_short_words_are_untouched() -> None:
    """A secret too short to be told apart masks nothing (targets refuse such secrets)."""
    assert Redactor(["to"]).text("to be or not to be") == "to be or not to be"
    assert Redactor([]).text("anything") == "anything"


def test_longest_first() -> None:
    """A secret that contains another one is masked whole."""
    assert Redactor(["secret", "secret-and-more"]).text("secret-and-more") == MASK


def test_any_line_of_a_key() -> None:
    """One line of a multi-line key is recognised by itself, its public frame is not."""
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPlanted\n-----END PRIVATE KEY-----"
    redactor = Redactor([key])
    assert "Planted" not in redactor.text("x MC4CAQAwBQYDK2VwBCIEIPlanted y")
    assert redactor.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_stream() -> None:
    """What is printed through the stream is clean, and all else is the stream's own."""
    inner = io.StringIO()
    stream = RedactedStream(inner, Redactor(["planted-secret"]))
    stream.write("token=planted-secret\n")
    stream.flush()
    assert stream.getvalue() == "token=[redacted]\n"
