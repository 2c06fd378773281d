"""Declined request: the status and the reason of an answer that is no success (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.errors import OpsVerifyError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Declined(OpsVerifyError):  # noqa: N818 - an answer, not an error of the program
    """A request that is not carried out: its HTTP status, its message, and headers of the answer."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
