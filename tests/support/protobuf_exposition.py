"""Prometheus' protobuf exposition, the only one that carries native histograms: counters and histograms, with times.

Field numbers: https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_COUNTER, _HISTOGRAM = 0, 4
_VARINT, _FIXED64, _BYTES = 0, 1, 2


@dataclass(frozen=True)
class Observed:
    """Observations of a native histogram of schema 0 so far: how many by bucket, of which n ends at 2 ** n."""

    first: int
    counts: tuple[int, ...]


Moment = tuple[float, float | Observed]
"""Unix seconds, and the value then."""


def family(name: str, series: Iterable[tuple[Mapping[str, str], Iterable[Moment]]]) -> bytes:
    """One metric with all its series, each with every moment of it, length before it."""
    metrics, kind = b"", _COUNTER
    for labels, moments in series:
        pairs = b"".join(_field(1, _text(1, key) + _text(2, value)) for key, value in labels.items())
        for at, value in moments:
            if isinstance(value, Observed):
                kind, shown = _HISTOGRAM, _field(7, _histogram(value))
            else:
                shown = _field(3, _double(1, value))
            metrics += _field(4, pairs + shown + _number(6, round(at * 1000)))
    body = _text(1, name) + _number(3, kind) + metrics
    return _varint(len(body)) + body


def _histogram(value: Observed) -> bytes:
    differences = [value.counts[0], *(later - earlier for earlier, later in pairwise(value.counts))]
    span = _number(1, _zigzag(value.first)) + _number(2, len(value.counts))
    return (
        _number(1, sum(value.counts))
        + _double(2, float(sum(value.counts)))
        + _number(5, _zigzag(0))
        + _double(6, 2.0**-128)
        + _number(7, 0)
        + _field(12, span)
        + b"".join(_number(13, _zigzag(difference)) for difference in differences)
    )


def _zigzag(number: int) -> int:
    return 2 * number if number >= 0 else -2 * number - 1


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | _FIXED64) + struct.pack("<d", number)


def _field(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())
