"""Secrets in disguise: whatever is done to one on its way, nothing of it is left in any sink."""

from __future__ import annotations

import base64
import binascii
import html
import json
import quopri
import textwrap
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsverify.evidence.redact import MASK, PART, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _text(raw: bytes) -> str:
    """UTF-8, or each byte as a character."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _raw(text: str) -> bytes:
    return text.encode()


def _numbered(form: str) -> Callable[[bytes], bytes]:
    return lambda raw: "".join(f"&#{form.format(ord(one))};" for one in _text(raw)).encode()


def _wrapped(width: int, start: str = "") -> Callable[[bytes], bytes]:
    def wrap(raw: bytes) -> bytes:
        text = _text(raw)
        return _raw("\n".join(start + text[at : at + width] for at in range(0, len(text), width)))

    return wrap


ENCODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": lambda raw: raw,
    "percent": lambda raw: quote_from_bytes(raw).encode(),
    "percent, all": lambda raw: quote_from_bytes(raw, safe="").encode(),
    "percent, every byte": lambda raw: b"".join(b"%%%02x" % one for one in raw),
    "HTML": lambda raw: _raw(html.escape(_text(raw))),
    "HTML decimal": _numbered("{}"),
    "HTML hexadecimal": _numbered("x{:X}"),
    "HTML padded": _numbered("{:07}"),
    "quoted-printable": lambda raw: quopri.encodestring(raw, quotetabs=True),
    "JSON": lambda raw: json.dumps(_text(raw))[1:-1].encode(),
    "JSON, UTF-8": lambda raw: json.dumps(_text(raw), ensure_ascii=False)[1:-1].encode(),
    "repr": lambda raw: repr(raw)[2:-1].encode(),
    "hex": binascii.hexlify,
    "HEX": lambda raw: binascii.hexlify(raw).upper(),
    "base32": base64.b32encode,
    "base64": base64.b64encode,
    "base64, URL": base64.urlsafe_b64encode,
    "base64, lines": base64.encodebytes,
    "UTF-16 LE": lambda raw: _text(raw).encode("utf-16-le"),
    "UTF-16 BE": lambda raw: _text(raw).encode("utf-16-be"),
    "lines": _wrapped(11),
    "indented": _wrapped(20, "    "),
}
"""What may happen to a secret before it reaches a sink."""
_ASCII = st.characters(min_codepoint=33, max_codepoint=126)
_LETTERS = st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=("C", "Z"))
SECRETS = st.one_of(st.text(_ASCII, min_size=16, max_size=44), st.text(_LETTERS, min_size=16, max_size=44))
AROUND = st.text("abcxyz .:,", max_size=9)
LOST: Final = b"=" * 6 + b"two ends"
"""Padding, and letters at both ends of an encoded secret that also carry bits of what stands around, may stay."""


@settings(max_examples=600)
@given(SECRETS, AROUND, AROUND, *[st.sampled_from(sorted(ENCODINGS))] * 2)
def test_nothing_is_left_of_a_secret(secret: str, before: str, after: str, first: str, second: str) -> None:
    """In any encoding of any encoding, within other text, a secret is masked, in text and in files."""
    if secret in MASK:
        return
    _is_masked(Redactor([secret, "another-secret-entirely"]), secret, before, after, first, second)


@settings(max_examples=300)
@given(SECRETS, st.integers(0, 12), AROUND, *[st.sampled_from(sorted(ENCODINGS))] * 2)
@example("00¡0¡00¡¡¡¡¡¡¡¡¡", 1, "::::", "lines", "base64")  # hardly a letter of it is ASCII
def test_nothing_is_left_of_a_part(secret: str, start: int, before: str, first: str, second: str) -> None:
    """Sixteen characters of a longer secret are treated as the whole."""
    part = (secret * 3)[start : start + PART + 4]
    _is_masked(Redactor([secret * 3]), part, before, "", first, second)


def _is_masked(redactor: Redactor, secret: str, before: str, after: str, first: str, second: str) -> None:
    def encoded(text: str) -> bytes:
        return ENCODINGS[second](ENCODINGS[first](text.encode()))

    if "UTF-16" in first + second and not secret.isascii():
        return  # two bytes for a letter, each encoded as a letter of its own: nobody writes that
    if first == "quoted-printable" and second in ("lines", "indented"):
        return  # its own line ends are lost among the others: two letters may stay

    whole = encoded(before + secret + after)
    allowed = len(whole) - len(encoded(secret)) + len(ENCODINGS[second](LOST))
    for form in (whole.decode("latin-1"), _text(whole)):
        clean = redactor.text(form)
        assert MASK in clean, (form, clean)
        assert len(clean.replace(MASK, "").encode("latin-1", "replace")) <= allowed, (form, clean)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=15),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_nothing_is_left_of_a_short_secret(secret: str, encoding: str) -> None:
    """A secret of six characters is as safe in one encoding."""
    if secret in MASK or encoding in ("lines", "indented"):
        return
    clean = Redactor([secret]).text(ENCODINGS[encoding](secret.encode()).decode("latin-1"))
    assert MASK in clean
    assert len(clean.replace(MASK, "")) <= 8


@given(st.text(max_size=300), SECRETS)
def test_other_text_is_untouched(text: str, secret: str) -> None:
    """What holds no secret is not changed, whatever it looks like."""
    if secret in text:
        return
    assert Redactor([secret]).text(text) == text
    assert Redactor([secret]).data({"a": [text, 1, None]}) == {"a": [text, 1, None]}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files(tmp_path: Path, encoding: str) -> None:
    """A file that another program wrote is cleaned in place, whatever its bytes."""
    secret = "correct-horse-battery-Ä-staple"
    raw = ENCODINGS[encoding](b"before " + secret.encode() + b" after")
    (tmp_path / "found.bin").write_bytes(b"\xff\xfe\x00" + raw)
    (tmp_path / "other.bin").write_bytes(bytes(range(256)))
    assert Redactor([secret]).sweep(tmp_path).cleaned == (tmp_path / "found.bin",)
    assert MASK.encode() in (tmp_path / "found.bin").read_bytes()
    assert (tmp_path / "other.bin").read_bytes() == bytes(range(256))


def test_a_whole_key_in_base64() -> None:
    """A PEM key with its frame and line ends is found within base64 of the file, wrapped or not."""
    body = "\n".join(textwrap.wrap(base64.b64encode(bytes(range(200))).decode(), 64))
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    for packed in (base64.b64encode(f"{key}\n".encode()), base64.encodebytes(f"data: {key}".encode())):
        clean = Redactor([key]).text(packed.decode())
        assert len(clean.replace(MASK, "")) < 90  # the frame, which is public


def test_numbers() -> None:
    """A secret of digits is masked as a JSON number too, and the JSON stays valid."""
    redactor = Redactor(["48151623420815"])
    assert redactor.data({"pin": 48151623420815, "n": 4}) == {"pin": MASK, "n": 4}
