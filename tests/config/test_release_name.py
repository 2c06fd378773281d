"""The name of a release: parts by name, an image only by its digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsverify.config.release_name import digests_in, release_in
from opsverify.errors import TargetError

SUM = "0123456789abcdef" * 4
IMAGE = f"registry.example:5000/judgment@sha256:{SUM}"
REFUSED = {
    "": "is no NAME=VALUE",
    "image": "is no NAME=VALUE",
    "image=": "is no NAME=VALUE",
    "=4": "is no NAME=VALUE",
    "chart=a,": "is no NAME=VALUE",
    "chart=a b": "is no NAME=VALUE",
    "chart=a\x1b[2J": "is no NAME=VALUE",
    "Chart=a": "is no NAME=VALUE",
    "chart=a,chart=b": "named twice",
    "image=judgment:1.4": "a tag can be moved",
    "image.worker=judgment": "a tag can be moved",
    "image=judgment@sha256:abc": "a tag can be moved",
    f"chart=judgment@sha256:{SUM.upper()}": "a tag can be moved",
    f"image=@sha256:{SUM}": "a tag can be moved",
}


def test_parts_and_digests() -> None:
    """What has a digest is a subject; the rest is a name."""
    release = release_in("--release", f"image={IMAGE},image.worker=w@sha256:{SUM},chart=judgment-1.4.2,migration=0004")
    assert release["chart"] == "judgment-1.4.2"
    assert list(digests_in(release)) == [("registry.example:5000/judgment", SUM), ("w", SUM)]
    assert release_in("--release", None) == {}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=map(repr, REFUSED))
def test_another_form_is_refused(text: str, message: str) -> None:
    """The option, what was given and what is expected stand in the message."""
    with pytest.raises(TargetError, match=message) as caught:
        release_in("--release", text)
    assert str(caught.value).startswith("--release: ")
    assert "\x1b" not in str(caught.value)


@given(st.text())
def test_whatever_is_given_is_read_or_refused(text: str) -> None:
    """No text ends in another error, and what is read is written the same again."""
    try:
        release = release_in("--release", text)
    except TargetError:
        return
    assert ",".join(f"{name}={value}" for name, value in release.items()) == text
