"""Bounds that a sample proves, for tables too large to read whole: "no more than 1 in N rows differ, 99 %".

Buckets are drawn with replacement, each with probability proportional to its recorded rows. A draw is then a
draw of one recorded row, looked at together with its whole bucket: if the share p of recorded rows is lost or
changed, a draw meets a bad bucket with probability of at least p. With n draws and none bad, any p with
(1 - p)^n < 1 - confidence is refuted, so p <= 1 - (1 - confidence)^(1/n), the exact upper bound of
Clopper and Pearson (Biometrika 26, 1934) for no success in n. Drawing by size is the auditors' monetary-unit
sampling (Anderson and Teitlebaum, CA Magazine, April 1973). Rows *added* where none were recorded are not
covered: no draw leads there.
"""

from __future__ import annotations

import math
import random
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = TypeVar("Key")


def draws_needed(one_in: int, confidence: float) -> int:
    """Return how many draws, none of them bad, prove that fewer than 1 in `one_in` recorded rows are.

    Raises ValueError unless `one_in` >= 2 and 0 < `confidence` < 1.
    """
    if one_in < 2 or not 0 < confidence < 1:  # noqa: PLR2004 - 1 in 1 rows is no bound
        raise ValueError(
            say(
                "1 in {one_in} at {confidence}: expected at least 1 in 2, and a confidence between 0 and 1",
                one_in=one_in,
                confidence=confidence,
            )
        )
    needed = math.ceil(math.log1p(-confidence) / math.log1p(-1 / one_in))
    while bound(needed, confidence) > 1 / one_in:  # rounding of the logarithms, at most once
        needed += 1
    return needed


def bound(draws: int, confidence: float) -> float:
    """Return the share of recorded rows that may still differ after `draws` draws without a bad one.

    Raises ValueError for fewer than one draw.
    """
    if draws < 1:
        raise ValueError(say("{draws} draws prove nothing", draws=draws))
    return -math.expm1(math.log1p(-confidence) / draws)


def draw(rows: Mapping[Key, int], draws: int, seed: int) -> frozenset[Key]:
    """Return the distinct buckets that `draws` draws meet; `rows` is how many rows each holds.

    The same seed gives the same buckets. Raises ValueError where there are no rows at all.
    """
    keys = [key for key, count in rows.items() if count > 0]
    if not keys:
        raise ValueError(say("no recorded rows to draw from"))
    weights = list(accumulate(rows[key] for key in keys))
    chosen = random.Random(seed)  # noqa: S311 - a reproducible sample, no secret
    return frozenset(chosen.choices(keys, cum_weights=weights, k=draws))
