"""Variables that target files name: in every spelling, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.config.named_variables import variables_in

if TYPE_CHECKING:
    from pathlib import Path


def test_variables_are_found_in_every_spelling(tmp_path: Path) -> None:
    """Inline, as a key of a table, quoted; a key that only ends like it names none, nor does another kind of file."""
    (tmp_path / "a.toml").write_text(
        'token = { env = "INLINE" }\nother = {env="CLOSE"}\n[password]\n"env" = \'QUOTED\'\nmy_env = "OWN"\n'
    )
    (tmp_path / "b.toml").write_text('env = "FIRST"\n')
    (tmp_path / "c.toml").write_bytes(b'env = "\xff"\n')
    (tmp_path / "d.txt").write_text('env = "TEXT"\n')
    assert variables_in(tmp_path) == {"INLINE", "CLOSE", "QUOTED", "FIRST"}
