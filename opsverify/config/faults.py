"""Faults that may be caused on a target: by `opsverify prove`, for the checks of one's own."""

from __future__ import annotations

from opsverify.config.section import Section


class FaultsConfig(Section):
    """Whether faults may be caused on this platform at all; never in production."""

    allowed: bool = False
