"""Matrix of a range selector, read in one pass: labels are made once a series, and known by their text afterwards.

Long answers have thousands of series with one or two samples each; most of the work and memory is their labels, which
are the same in the next answer. What is not spelled as expected here (native histograms, warnings, a label value that
is no text, a fault) is left to `prometheus_values.read_series`, which says what is wrong with it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from opsverify.probes.prometheus_values import Series, in_order


class KnownLabels(Mapping[str, str]):
    """Labels of one series, as the server spells them (`text`), with the `key` of `Series`."""

    __slots__ = ("_text", "key")

    def __init__(self, text: bytes, key: str) -> None:
        self._text = text
        self.key = key

    def __getitem__(self, name: str) -> str:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def _all(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._text)
        return found


class _Entry(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    metric: msgspec.Raw
    values: list[tuple[float, float]]


class _Matrix(msgspec.Struct):
    resultType: str  # noqa: N815 - Prometheus' spelling
    result: list[_Entry]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """An answer without warnings; some servers add these fields to every one."""

    data: _Matrix
    status: str = ""
    isPartial: bool = False  # noqa: N815 - VictoriaMetrics' spelling
    infos: msgspec.Raw = msgspec.Raw()
    stats: msgspec.Raw = msgspec.Raw()


_NAME = "__name__"
_METRIC = b'{"__name__":"'
_MOST_SHARED = 50_000
_LABELS = msgspec.json.Decoder(dict[str, str])
_BODIES = msgspec.json.Decoder(_Body, strict=False)
"""Reads values, which are texts, as numbers."""


class _Latest(NamedTuple):
    """Series of one answer, in its order: their labels' texts, one after the other up to `ends`, and their keys."""

    texts: bytes = b""
    ends: Sequence[int] = ()
    keys: Sequence[str] = ()

    def by_text(self) -> dict[bytes, str]:
        begins = (0, *self.ends)
        return {self.texts[begin:end]: key for begin, end, key in zip(begins, self.ends, self.keys, strict=False)}


class KnownSeries:
    """Series of each selector's latest answer: the next one has the same, most often in the same order."""

    def __init__(self) -> None:
        self._latest: dict[str, _Latest] = {}
        self._shared: dict[bytes, str | None] = {}
        """Keys of labels without the metric, which many selectors have; None where the metric is not their first."""

    def read(self, selector: str, body: bytes) -> tuple[Series, ...] | None:
        """The series of a whole answer; None where it is not spelled as expected."""
        try:
            answer = _BODIES.decode(body)
            if answer.status != "success" or answer.isPartial or answer.data.resultType != "matrix":
                return None
            entries = answer.data.result
            texts = [bytes(entry.metric) for entry in entries]
            keys = self._keys(selector, texts)
            return tuple(
                Series(KnownLabels(text, key), in_order(entry.values))
                for text, key, entry in zip(texts, keys, entries, strict=True)
            )
        except (msgspec.MsgspecError, TypeError, ValueError):
            return None

    def _keys(self, selector: str, texts: list[bytes]) -> Sequence[str]:
        before = self._latest.get(selector, _Latest())
        joined, ends = b"".join(texts), array("L", accumulate(map(len, texts)))
        if joined == before.texts and ends == before.ends:
            return before.keys
        known = before.by_text()
        if len(self._shared) > _MOST_SHARED:
            self._shared.clear()
        keys = tuple(self._all_keys(texts, known))
        self._latest[selector] = _Latest(joined, ends, keys)
        return keys

    def _all_keys(self, texts: Sequence[bytes], known: Mapping[bytes, str]) -> Iterator[str]:
        """Keys of an answer's series, whose metric is one and the same most often."""
        first = _metric(texts[0]) if texts else None
        begin = b"" if first is None else _METRIC + first + b'"'
        name = "" if first is None else f"{_NAME}={first.decode()},"
        for text in texts:
            key = known.get(text)
            if key is None and begin and text.startswith(begin):
                shared = self._shared.get(text[len(begin) :])
                key = name + shared if shared else None
            yield key or self._key(text)

    def _key(self, text: bytes) -> str:
        metric = _metric(text)
        if metric is None:
            return _key(_LABELS.decode(text))
        others = text[len(_METRIC) + len(metric) + 1 :]
        if others not in self._shared:
            labels = _LABELS.decode(b"{" + others[1:])
            self._shared[others] = _key(labels) if min(labels) > _NAME else None
        shared = self._shared[others]
        return _key(_LABELS.decode(text)) if shared is None else f"{_NAME}={metric.decode()},{shared}"


def _metric(text: bytes) -> bytes | None:
    """The metric of labels that begin with it, and go on; None where they do not, or it is spelled with an escape."""
    metric, quote, others = text[len(_METRIC) :].partition(b'"')
    plain = text.startswith(_METRIC) and quote and others.startswith(b",") and b"\\" not in metric
    return metric if plain else None


def _key(labels: Mapping[str, str]) -> str:
    return ",".join(map("=".join, sorted(labels.items())))
