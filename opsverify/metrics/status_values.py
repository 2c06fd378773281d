"""Status values: label values by which common exporters tell failed requests, and which of them mean a failure.

Many exporters show a value only once it happened. Where every value seen is of one kind, a selector that picks
failures of this kind is right, although none has happened yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_GRPC_FAILED: Final = ("Unknown", "DeadlineExceeded", "Internal", "Unavailable", "DataLoss")
_GRPC: Final = (
    *_GRPC_FAILED, "OK", "Canceled", "InvalidArgument", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Unauthenticated",
)  # fmt: skip


def _upper(name: str) -> str:
    """A gRPC code as Java and the specification write it: DEADLINE_EXCEEDED."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


@dataclass(frozen=True)
class StatusKind:
    """One kind of values: what they look like, those that mean a failure, and the matcher that picks these.

    `label`: what the label's name looks like, where its values alone say too little.
    """

    values: re.Pattern[str]
    failed: tuple[str, ...]
    matcher: str
    label: re.Pattern[str] = re.compile("")


KINDS: Final = (
    StatusKind(re.compile("[1-5][0-9][0-9]"), ("500", "502", "503", "504"), '=~"5.."'),
    StatusKind(re.compile("[1-5]xx"), ("5xx",), '="5xx"'),
    StatusKind(re.compile("[1-5]XX"), ("5XX",), '="5XX"'),
    StatusKind(re.compile("[1-5]"), ("5",), '="5"', re.compile("(code|status)_class$")),
    StatusKind(re.compile("|".join(_GRPC)), _GRPC_FAILED, f'=~"{"|".join(_GRPC_FAILED)}"'),
    StatusKind(
        re.compile("|".join(map(_upper, _GRPC)) + "|CANCELLED"),
        tuple(map(_upper, _GRPC_FAILED)),
        f'=~"{"|".join(map(_upper, _GRPC_FAILED))}"',
    ),
    StatusKind(
        re.compile("INFORMATIONAL|SUCCESS|REDIRECTION|CLIENT_ERROR|SERVER_ERROR|UNKNOWN"),
        ("SERVER_ERROR",),
        '="SERVER_ERROR"',
    ),
)
"""HTTP codes, their classes (of Envoy a digit), gRPC codes (of Go, and in capitals), outcomes of Micrometer."""
FAILED: Final = tuple(value for kind in KINDS for value in kind.failed)
"""Every value that means a failure."""


def kind_of(label: str, values: Collection[str]) -> StatusKind | None:
    """The kind that all values of a label are of; None without any."""
    return next(
        (kind for kind in KINDS if values and kind.label.search(label) and all(map(kind.values.fullmatch, values))),
        None,
    )
