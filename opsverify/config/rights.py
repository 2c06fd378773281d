"""Declared rights of a target: the file with what each role of its database may do."""

from __future__ import annotations

from opsverify.config.section import Section


class RightsConfig(Section):
    """The declared list, relative to the target file; `opsverify rights capture` writes it once."""

    declared: str
