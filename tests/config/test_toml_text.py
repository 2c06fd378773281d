"""Text in TOML: each reader of a file has content of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.config.toml_text import read_toml

if TYPE_CHECKING:
    from pathlib import Path


def test_each_reader_has_its_own(tmp_path: Path) -> None:
    """What one reader changes, another one does not see; what is written to the file, the next one does."""
    path = tmp_path / "a.toml"
    path.write_text("[a]\nb = [{c = 1}]\n", encoding="utf-8")

    first = read_toml(path)
    first["a"]["b"][0]["c"] = 2
    first["a"]["b"].append(3)

    assert read_toml(path) == {"a": {"b": [{"c": 1}]}}
    path.write_text("a = 1\n", encoding="utf-8")
    assert read_toml(path) == {"a": 1}
